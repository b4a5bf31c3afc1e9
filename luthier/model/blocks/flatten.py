"""Flatten: all values of a sample in one row.

Dimension key, for the whole file:
    B  batch      C  channels      H, W  height and width      T  time      D  width
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from luthier.model.block import BlockSpec
from luthier.model.stream import Stream, Streamed, whole_rows_only
from luthier.signal import Signal


class FlattenSpec(BlockSpec):
    """All values of a sample as one vector."""

    kind: Literal["flatten"] = "flatten"

    def build(self, signal: Signal) -> Flatten:
        """A `Flatten` for `signal`."""
        if signal.form not in ("image", "sequence"):
            raise self.unreadable("an image or a sequence", signal)
        return Flatten(signal)


class Flatten(Streamed):
    """`(B, C, H, W)` or `(B, T, D)` to `(B, all of them)`.

    Attributes:
        reads: What it gets.
        order: The order of an image's values in the row. A network is built with channels_first;
            only a placement changes it, with the weights behind it permuted to match.
    """

    def __init__(self, reads: Signal) -> None:
        super().__init__()
        self.reads = reads
        self.order: Literal["channels_first", "channels_last"] = "channels_first"

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """One row a sample."""
        whole_rows_only("flatten", x, stream, "use {kind: global_pool}")
        if self.order == "channels_last":
            x = x.permute(0, 2, 3, 1)
        return x.flatten(1)
