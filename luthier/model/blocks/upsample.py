"""Upsample: more positions, made from their neighbours.

Dimension key, for the whole file:
    B  batch      C  channels      H, W  height and width      T  time      D  width
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from luthier.model.block import BlockSpec
from luthier.model.stream import Stream, Streamed, whole_rows_only
from luthier.model.window import for_each, positions
from luthier.signal import Signal
from luthier.spec import Many

Factor = Annotated[int, Field(ge=1, le=64)]


class UpsampleSpec(BlockSpec):
    """More positions: each one repeated, or new ones drawn in between."""

    kind: Literal["upsample"] = "upsample"
    factor: Factor | Many[Factor]
    """How many times larger it comes out; one number, or `[height, width]`."""
    mode: Literal["nearest", "linear"] = "nearest"
    """nearest repeats a position, linear draws a line to the next (of images, in both
    directions: bilinear)."""

    def build(self, signal: Signal) -> Upsample:
        """An `Upsample` for `signal`."""
        if signal.form not in ("image", "sequence"):
            raise self.unreadable("an image or a sequence", signal)
        return Upsample(self, signal)


class Upsample(Streamed):
    """Positions made from their neighbours.

    Shape:
        `(B, C, H, W)` to `(B, C, H * factor, W * factor)`, `(B, T, D)` to `(B, T * factor, D)`.
    """

    def __init__(self, spec: UpsampleSpec, signal: Signal) -> None:
        super().__init__()
        factor = for_each(spec.factor, spec.kind, "factor", signal)
        self.over_time = signal.form == "sequence"
        self.size = tuple(f * p for f, p in zip(factor, positions(signal), strict=True))
        linear = "linear" if self.over_time else "bilinear"
        self.mode = "nearest" if spec.mode == "nearest" else linear

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The larger signal."""
        whole_rows_only("upsample", x, stream, "leave it out")
        x = x.transpose(1, 2) if self.over_time else x
        x = F.interpolate(x, self.size, mode=self.mode)
        return x.transpose(1, 2) if self.over_time else x
