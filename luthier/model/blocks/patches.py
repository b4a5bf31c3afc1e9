"""Patches: stretches of a sequence, each made one position.

Dimension key, for the whole file:
    B  batch      T  positions      P  patches      S  positions of a patch      D  width
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Size
from luthier.model.stream import Stream, Streamed, whole_rows_only
from luthier.signal import Signal


class PatchesSpec(BlockSpec):
    """Stretches of a sequence, each turned into one vector."""

    kind: Literal["patches"] = "patches"
    size: Size = 16
    """Positions of a patch."""
    stride: Size = 8
    """Positions from one patch to the next; less than the size lets them overlap."""
    width: Size
    """The width of the vectors."""
    position: Literal["learned", "none"] = "learned"
    """learned adds a vector of its own to each place in the row; none leaves the places to an
    attention with a position."""
    last: Literal["repeat", "drop"] = "repeat"
    """What becomes of the end: repeat lets the last value go on for a stride, so that the newest
    positions are in a patch of their own; drop leaves out what fills none."""

    def build(self, signal: Signal) -> Patches:
        """A `Patches` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return Patches(self, signal)


class Patches(Streamed):
    """`W patch + b`, with a learned vector for each place.

    Args:
        spec: The patches.
        signal: A sequence `(T, D)`.

    Shape:
        `(B, T, D)` to `(B, P, width)`; P is `(T - size) // stride + 1`, and one more where the
        last value goes on.

    Cost:
        Parameters: `size * D * width + width`, plus `P * width` with learned positions.

    Raises:
        ShapeError: If the sequence is shorter than a patch.

    Source:
        Nie et al. 2023, 2211.14730, section 3.1.
    """

    def __init__(self, spec: PatchesSpec, signal: Signal) -> None:
        super().__init__()
        time, width = signal.shape
        if time < spec.size:
            raise ShapeError(
                f"patches has patches of {spec.size} positions, but gets {signal}; wanted a size "
                f"of at most {time}"
            )
        self.size, self.stride = spec.size, spec.stride
        self.ahead = spec.stride if spec.last == "repeat" else 0
        patches = (time + self.ahead - spec.size) // spec.stride + 1
        self.linear = nn.Linear(spec.size * width, spec.width)
        self.places = Places(patches, spec.width) if spec.position == "learned" else None

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """A vector for each patch."""
        whole_rows_only("patches", x_BTD, stream, "leave it out")
        if self.ahead:
            x_BTD = torch.cat([x_BTD, x_BTD[:, -1:].expand(-1, self.ahead, -1)], 1)
        patches_BPDS = x_BTD.unfold(1, self.size, self.stride)
        y_BPD: Tensor = self.linear(patches_BPDS.flatten(2))
        return y_BPD if self.places is None else y_BPD + self.places.weight


class Places(nn.Embedding):
    """A learned vector for each place."""
