"""Each channel: every feature of a sequence goes through the same layers, alone.

Dimension key, for the whole file:
    B  batch      T  positions      D  width      W  width that the layers give
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.chain import Chain
from luthier.model.stream import Stream, Streamed, through, whole_rows_only
from luthier.signal import Signal
from luthier.spec import Many

if TYPE_CHECKING:
    Block = BlockSpec  # the union of all blocks, which `blocks/__init__.py` makes


class EachChannelSpec(BlockSpec):
    """The same layers for each feature of a sequence; none sees another one.

    The layers read `(time, 1)`. A forecast of 96 steps, of each column by itself:

        kind: each_channel
        layers:
          - {kind: patches, size: 16, stride: 8, width: 64}
          - {kind: attention, heads: 4, causal: false}
          - {kind: flatten}
          - {kind: dense, width: 96}
    """

    kind: Literal["each_channel"] = "each_channel"
    layers: Many[Block]
    """The layers. A vector that they give is a feature's values in time; a sequence, its positions
    with features of their own."""

    def build(self, signal: Signal) -> EachChannel:
        """An `EachChannel` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return EachChannel(self, signal)

    def blocks(self) -> int:
        """Itself and its layers."""
        return 1 + sum(layer.blocks() for layer in self.layers)


class EachChannel(Streamed):
    """Features folded into rows, and unfolded behind the layers.

    Args:
        spec: The layers.
        signal: A sequence `(T, D)`.

    Shape:
        `(B, T, D)` to `(B, W, D)` where the layers give vectors, to `(B, T', D * W)` where they
        give sequences.

    Source:
        Nie et al. 2023, 2211.14730, section 3.1: channel independence.
    """

    def __init__(self, spec: EachChannelSpec, signal: Signal) -> None:
        super().__init__()
        time, width = signal.shape
        self.layers = Chain(spec.layers, Signal("sequence", (time, 1)), "layers")
        inner = self.layers.gives
        if inner.form == "vector":
            self.gives = Signal("sequence", (inner.width, width))
        elif inner.form == "sequence":
            self.gives = Signal("sequence", (inner.shape[0], width * inner.width))
        else:
            raise ShapeError(
                f"each_channel has layers that give {inner}; wanted a vector or a sequence"
            )

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """What the layers make of each feature."""
        whole_rows_only("each_channel", x_BTD, stream, "leave it out")
        rows, time, width = x_BTD.shape
        folded = x_BTD.transpose(1, 2).reshape(rows * width, time, 1)
        # Its rows are others: of the stream only what is added to the loss is shared.
        inner = None if stream is None else Stream(losses=stream.losses)
        y = through(self.layers, folded, inner)
        y = y.reshape(rows, width, *y.shape[1:])
        return y.transpose(1, 2) if y.ndim == 3 else y.transpose(1, 2).flatten(2)
