"""Decompose: the trend of a series and what swings around it, each through layers of its own.

Dimension key, for the whole file:
    B  batch      T  positions      D  width
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Size
from luthier.model.chain import Chain
from luthier.model.stream import Stream, Streamed, through, whole_rows_only
from luthier.signal import Signal
from luthier.spec import Many

if TYPE_CHECKING:
    Block = BlockSpec  # the union of all blocks, which `blocks/__init__.py` makes


class DecomposeSpec(BlockSpec):
    """`trend(average(x)) + season(x - average(x))`, with a moving average over time.

    The network of DLinear:

        kind: decompose
        window: 25
        trend: [{kind: time_dense, steps: 96}]
        season: [{kind: time_dense, steps: 96}]
    """

    kind: Literal["decompose"] = "decompose"
    window: Size = 25
    """Positions of the moving average; at the ends, the first and the last value go on."""
    trend: Many[Block] = ()
    """The layers that read the average; none passes it on."""
    season: Many[Block] = ()
    """The layers that read what is left; none passes it on."""

    def build(self, signal: Signal) -> Decompose:
        """A `Decompose` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return Decompose(self, signal)

    def blocks(self) -> int:
        """Itself and the layers of both parts."""
        return 1 + sum(layer.blocks() for layer in (*self.trend, *self.season))


class Decompose(Streamed):
    """A moving average and the rest, each through its layers, and their sum.

    Args:
        spec: The window, and the layers.
        signal: A sequence `(T, D)`.

    Shape:
        `(B, T, D)` to what both parts give.

    Raises:
        ShapeError: If the parts give different shapes.

    Source:
        Wu et al. 2021, 2106.13008, section 3.1, equation 1; Zeng et al. 2022, 2205.13504,
        section 4.
    """

    def __init__(self, spec: DecomposeSpec, signal: Signal) -> None:
        super().__init__()
        self.window = spec.window
        self.trend = Chain(spec.trend, signal, "trend")
        self.season = Chain(spec.season, signal, "season")
        if self.trend.gives != self.season.gives:
            raise ShapeError(
                f"decompose cannot add its parts: trend gives {self.trend.gives}, season gives "
                f"{self.season.gives}; make the shapes equal"
            )
        self.gives = self.trend.gives

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """The sum of both parts."""
        whole_rows_only("decompose", x_BTD, stream, "leave it out")
        average_BTD = moving_average(x_BTD, self.window)
        trend = through(self.trend, average_BTD, stream)
        return trend + through(self.season, x_BTD - average_BTD, stream)


def moving_average(x_BTD: Tensor, window: int) -> Tensor:
    """The mean of `window` positions around each; at the ends, the first and the last value go on.

    Example:
        >>> moving_average(torch.tensor([[[0.0], [3.0], [6.0]]]), 3).flatten().tolist()
        [1.0, 3.0, 5.0]
    """
    before = (window - 1) // 2
    first, last = x_BTD[:, :1], x_BTD[:, -1:]
    padded = torch.cat(
        [first.expand(-1, before, -1), x_BTD, last.expand(-1, window - 1 - before, -1)], 1
    )
    return F.avg_pool1d(padded.transpose(1, 2), window, 1).transpose(1, 2)
