"""Time dense: every new position reads every old one, each feature by itself.

Dimension key, for the whole file:
    B  batch      T  positions      H  positions that are given      D  width
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from luthier.model.block import BlockSpec, Size
from luthier.model.stream import Stream, Streamed, whole_rows_only
from luthier.signal import Signal


class TimeDenseSpec(BlockSpec):
    """A weighted sum over time for each new position; all features share the weights.

    A linear forecast: of 336 hours that are read, each of the next 96 is such a sum.
    """

    kind: Literal["time_dense"] = "time_dense"
    steps: Size
    """Positions that come out."""
    bias: bool = True
    """Whether each position adds a learned number."""

    def build(self, signal: Signal) -> TimeDense:
        """A `TimeDense` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return TimeDense(self, signal)


class TimeDense(Streamed):
    """`W x + b` over the positions of each feature.

    Args:
        spec: The positions that come out.
        signal: A sequence `(T, D)`.

    Shape:
        `(B, T, D)` to `(B, H, D)`.

    Cost:
        Parameters: `T * H`, plus `H` with a bias.
        FLOPs of one forward pass: `2 * T * H * D`.

    Source:
        Zeng et al. 2022, 2205.13504, section 4: LTSF-Linear.
    """

    def __init__(self, spec: TimeDenseSpec, signal: Signal) -> None:
        super().__init__()
        self.linear = nn.Linear(signal.shape[0], spec.steps, bias=spec.bias)

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """The sums."""
        whole_rows_only("time_dense", x_BTD, stream, "use {kind: dense}")
        y_BHD: Tensor = self.linear(x_BTD.transpose(1, 2)).transpose(1, 2)
        return y_BHD
