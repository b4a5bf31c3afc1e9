"""What a prepared data set gives: samples by row number.

Dimension key, for the whole file:
    B  rows of a batch      K  classes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from torch import Tensor

from luthier.signal import Signal


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Rows of a split, decoded, augmented and normalised; not yet what a task makes of them."""

    inputs: Tensor
    """`(B, *signal.shape)`, float32."""
    targets: Tensor
    """`(B,)` int64 class numbers, -1 where it is not known; or `(B, K)` float32 shares, where
    mixup or cutmix mixed them."""
    ids: Tensor
    """`(B,)` int64, the rows' numbers in their split."""


AnySamples = TypeVar("AnySamples", covariant=True)


class Examples(Protocol[AnySamples]):
    """A split that is ready to be read."""

    @property
    def signal(self) -> Signal:
        """The form and shape of one input."""

    @property
    def at_once(self) -> int:
        """How many rows go through a network together where nothing is learned."""

    def __len__(self) -> int:
        """The number of rows."""

    def read(self, ids: np.ndarray, epoch: int) -> AnySamples:
        """The rows `ids`, as epoch `epoch` sees them.

        A pure function of (seed of the split, epoch, id): the same whatever batch a row is in,
        whichever thread asks, before and after a resume.
        """

    def name(self, row: int) -> str:
        """What a person calls the row: its file, or `train[12]`."""

    def plain(self) -> Examples[AnySamples]:
        """The same rows with nothing random about them: to be measured on."""
