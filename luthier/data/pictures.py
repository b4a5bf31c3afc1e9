"""A split of pictures that is ready to be read.

Dimension key, for the whole file:
    B  rows of a batch      N  rows of all splits      K  classes
    H  height      W  width      C  channels
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.augment import ChangeSpec, MixSpec, streams
from luthier.data.augment.mix import CutmixSpec, MixupSpec
from luthier.data.collection import Decoded, Rows, Split
from luthier.data.examples import Samples
from luthier.data.image import Normalization, Pixels, Preprocessing
from luthier.data.randomness import uniforms
from luthier.signal import Signal

AT_ONCE = 256
"""Pictures that go through a network together where nothing is learned."""


class PictureExamples:
    """The rows of one split, gathered from one array of pixels.

    Args:
        data: The pixels and labels of all splits.
        split: Which rows, and what they are called where they have no names.
        rows: Their numbers in `data`.
        preprocessing: Makes pixels what a network reads.
        augment: Changes, in this order, then mixes; none for validation and test.
        seed: Of the augmentation.
    """

    def __init__(
        self,
        data: Decoded,
        split: Split,
        rows: Rows,
        preprocessing: Preprocessing,
        augment: Sequence[ChangeSpec | MixSpec] = (),
        seed: int = 0,
    ) -> None:
        self.split = split
        self.rows = rows
        self.labels = data.labels[rows]
        self.seed = seed
        self._data = data
        self._preprocessing = preprocessing
        self._images_NHWC = torch.from_numpy(data.images)
        self._targets_N = torch.from_numpy(self.labels)
        self._normalize = Normalization(preprocessing)
        named = list(zip(streams(augment), augment, strict=True))
        self._mixes = [(s, a) for s, a in named if isinstance(a, MixupSpec | CutmixSpec)]
        self._changes = [(s, a) for s, a in named if not isinstance(a, MixupSpec | CutmixSpec)]
        self._signal = Signal(
            "image", (preprocessing.channels, preprocessing.height, preprocessing.width)
        )

    @property
    def signal(self) -> Signal:
        """The form and shape of one input."""
        return self._signal

    @property
    def at_once(self) -> int:
        """How many rows go through a network together where nothing is learned."""
        return AT_ONCE

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def read(self, ids: NDArray[np.int64], epoch: int) -> Samples:
        """The rows `ids`, as epoch `epoch` sees them."""
        inputs = self._inputs(ids, epoch)
        ids_B = torch.from_numpy(ids)
        targets = self._targets_N.index_select(0, ids_B)
        if self._mixes:
            inputs, targets = self._mixed(inputs, targets, ids, epoch)
        return Samples(inputs=inputs, targets=targets, ids=ids_B)

    def plain(self) -> PictureExamples:
        """The same rows with no augmentation."""
        return PictureExamples(self._data, self.split, self.rows, self._preprocessing)

    def name(self, row: int) -> str:
        """The file of a row, or `train[12]`."""
        if self._data.names is None:
            return f"{self.split}[{row}]"
        return self._data.names[int(self.rows[row])]

    def pictures(self, ids: NDArray[np.int64]) -> Pixels:
        """The pixels of some rows, `(B, H, W, C)`, as they came in: for people to look at."""
        return self._data.images[self.rows[ids]]

    def augmented(self, ids: NDArray[np.int64], epoch: int) -> Pixels:
        """The pixels of some rows after each change, before any mix: for people to look at."""
        return self._changed(ids, epoch).numpy()

    def _changed(self, ids: NDArray[np.int64], epoch: int) -> Tensor:
        pixels_BHWC = self._images_NHWC.index_select(0, torch.from_numpy(self.rows[ids]))
        for stream, change in self._changes:
            drawn = uniforms(self.seed, epoch, ids, stream, change.draws)
            pixels_BHWC = torch.from_numpy(change.apply(pixels_BHWC.numpy(), drawn))
        return pixels_BHWC

    def _inputs(self, ids: NDArray[np.int64], epoch: int) -> Tensor:
        return self._normalize(self._changed(ids, epoch))

    def _mixed(
        self, inputs_BCHW: Tensor, targets_B: Tensor, ids: NDArray[np.int64], epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Mixed inputs and `(B, K)` shares. A partner is changed as itself, but not mixed."""
        classes = len(self._data.classes)
        shares_BK = F.one_hot(targets_B, classes).to(torch.float32)
        for stream, mix in self._mixes:
            drawn = uniforms(self.seed, epoch, ids, stream, mix.draws)
            chosen = np.flatnonzero(drawn[:, 0] < mix.probability)
            if not len(chosen):
                continue
            drawn = drawn[chosen]
            partners = (drawn[:, 2] * len(self)).astype(np.int64)
            others = F.one_hot(self._targets_N[torch.from_numpy(partners)], classes)
            rows = torch.from_numpy(chosen)
            mixed, own = mix.mix(inputs_BCHW[rows], self._inputs(partners, epoch), drawn)
            inputs_BCHW[rows] = mixed
            shares_BK[rows] = shares_BK[rows] * own[:, None] + others * (1 - own[:, None])
        return inputs_BCHW, shares_BK
