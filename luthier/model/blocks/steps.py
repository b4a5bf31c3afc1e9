"""Steps: values that stand side by side, laid out in time.

Dimension key, for the whole file:
    B  batch      T  positions      H  steps      D  width      n  values of a feature and step
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Size
from luthier.model.stream import Stream, Streamed, whole_rows_only
from luthier.signal import Signal


class StepsSpec(BlockSpec):
    """A vector as a sequence of so many steps; or a sequence whose positions are several values of
    each step, such as quantiles, as one with these values side by side."""

    kind: Literal["steps"] = "steps"
    count: Size
    """Steps that come out. Must divide the values of a vector, or the positions of a sequence."""

    def build(self, signal: Signal) -> Steps:
        """A `Steps` for `signal`."""
        if signal.form not in ("vector", "sequence"):
            raise self.unreadable("a vector or a sequence", signal, "add {kind: flatten} before it")
        if signal.shape[0] % self.count:
            raise ShapeError(
                f"steps lays {signal} out in {self.count} steps; wanted a multiple of "
                f"{self.count}, such as {self.count * max(1, signal.shape[0] // self.count)}"
            )
        return Steps(self.count)


class Steps(Streamed):
    """The same values in another shape.

    Args:
        count: H.

    Shape:
        `(B, H * n)` to `(B, H, n)`, the values of the first step first; `(B, H * n, D)` to
        `(B, H, D * n)`, the values of the first feature first.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The steps."""
        whole_rows_only("steps", x, stream, "leave it out")
        y = x.reshape(len(x), self.count, -1, *x.shape[2:])
        return y if x.ndim == 2 else y.transpose(2, 3).flatten(2)
