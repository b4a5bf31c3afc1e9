"""Windows of series: what a network reads, and the steps behind it that it is to forecast.

Dimension key, for the whole file:
    B  windows of a batch      W  windows of the split      M  steps of all series
    L  steps that are read      H  steps that are forecast
    C  columns that are read      T  targets      S  series
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.collection import Split
from luthier.data.series.scaling import Scaling
from luthier.data.series.timing import written
from luthier.signal import Signal

AT_ONCE = 256
"""Windows that go through a network together where nothing is learned."""


@dataclass(frozen=True, kw_only=True)
class SeriesSamples:
    """Windows of a split, scaled."""

    inputs: Tensor
    """`(B, L, C)` float32; the targets are the first columns."""
    targets: Tensor
    """`(B, H, T)` float32, scaled; 0 where nothing is known."""
    present: Tensor | None
    """`(B, H, T)` bool: what of them was measured; none where all of it was."""
    mean: Tensor
    """`(B, T)` float64: the mean and the spread of the targets, which forecasts are multiplied and
    shifted by."""
    std: Tensor
    naive: Tensor
    """`(B, T)` float64: the naive error on the training rows, 0 where it is not known."""
    ids: Tensor
    """`(B,)` int64, the windows' numbers in their split."""
    times: tuple[tuple[str, ...], ...] = ()
    """The times of the steps that are forecast, for people; empty where something is learned."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """All steps of all series, one series behind the other."""

    inputs_MC: Tensor
    """float32, scaled; what is known beforehand is that of H steps later."""
    values_MT: Tensor
    """float32, the scaled targets; missing values as they are read, filled."""
    present_MT: Tensor | None
    """bool; none where no value is missing."""
    whole_M: NDArray[np.bool_]
    """Whether all that is read at a step was there, and nothing had to be filled in."""
    scaling: Scaling
    series_M: NDArray[np.int64]
    """Which series each step belongs to."""
    labels: tuple[str, ...]
    """The names of the series."""
    times_M: NDArray[np.int64]
    numbered: bool


class SeriesExamples:
    """The windows of one split, gathered from the steps of all series.

    Args:
        steps: Of all splits.
        split: Which one.
        starts: `(W,)`, the first step that each window reads, in the order of time.
        lookback: L.
        horizon: H.
    """

    def __init__(
        self,
        steps: Steps,
        split: Split,
        starts: NDArray[np.int64],
        *,
        lookback: int,
        horizon: int,
    ) -> None:
        self.steps = steps
        self.split = split
        self.starts = starts
        self.lookback = lookback
        self.horizon = horizon
        scaling, targets = steps.scaling, steps.values_MT.shape[1]
        self._mean_ST = torch.from_numpy(scaling.mean_SC[:, :targets])
        self._std_ST = torch.from_numpy(scaling.std_SC[:, :targets])
        self._naive_ST = torch.from_numpy(scaling.naive_ST)
        self._read_L = torch.arange(lookback)
        self._ahead_H = torch.arange(lookback, lookback + horizon)

    @property
    def signal(self) -> Signal:
        """The form and shape of one input."""
        return Signal("sequence", (self.lookback, self.steps.inputs_MC.shape[1]))

    @property
    def at_once(self) -> int:
        """How many windows go through a network together where nothing is learned."""
        return AT_ONCE

    def __len__(self) -> int:
        """The number of windows."""
        return len(self.starts)

    def read(self, ids: NDArray[np.int64], epoch: int) -> SeriesSamples:
        """The windows `ids`; the same in every epoch."""
        steps, starts = self.steps, self.starts[ids]
        starts_B = torch.from_numpy(starts)
        read_BL = starts_B[:, None] + self._read_L
        ahead_BH = starts_B[:, None] + self._ahead_H
        series_B = torch.from_numpy(steps.series_M[starts])
        return SeriesSamples(
            inputs=_picked(steps.inputs_MC, read_BL),
            targets=_picked(steps.values_MT, ahead_BH),
            present=None if steps.present_MT is None else _picked(steps.present_MT, ahead_BH),
            mean=self._mean_ST[series_B],
            std=self._std_ST[series_B],
            naive=self._naive_ST[series_B],
            ids=torch.from_numpy(ids),
        )

    def plain(self) -> SeriesExamples:
        """Itself: nothing about it is random."""
        return self

    def name(self, row: int) -> str:
        """The time from which on a window forecasts, behind the name of its series."""
        first = int(self.starts[row]) + self.lookback
        time, series = self.time(first), self.steps.labels[int(self.steps.series_M[first])]
        return f"{series} {time}" if series else time

    def time(self, step: int) -> str:
        """The time of a step, as people write it."""
        return written(int(self.steps.times_M[step]), numbered=self.steps.numbered)


def _picked(values_MC: Tensor, places: Tensor) -> Tensor:
    """`(B, L, C)`: some rows of `(M, C)`."""
    picked = values_MC.index_select(0, places.flatten())
    return picked.view(*places.shape, values_MC.shape[1])


def evenly(starts: NDArray[np.int64], limit: int | None) -> NDArray[np.int64]:
    """At most `limit` of the windows, evenly spaced."""
    if limit is None or len(starts) <= limit:
        return starts
    return starts[np.linspace(0, len(starts) - 1, limit).round().astype(np.int64)]
