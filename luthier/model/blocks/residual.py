"""Residual: layers that learn what to add to their input.

Dimension key, for the whole file:
    B  batch      C  channels      H, W  height and width      T  time      D  width
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import torch.nn.functional as F
from pydantic import field_validator, model_validator
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Share
from luthier.model.blocks.activation import ActivationName, activation
from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.dropout import DropPath
from luthier.model.blocks.norm import NormName
from luthier.model.chain import Chain
from luthier.model.stream import Stream, Streamed, through
from luthier.model.window import positions
from luthier.signal import Signal
from luthier.spec import Many

if TYPE_CHECKING:
    Block = BlockSpec  # the union of all blocks, which `blocks/__init__.py` makes

Shortcut = Literal["projection", "pad", "identity"]


class ResidualSpec(BlockSpec):
    """`activation(x + layers(x))`: layers that learn what to add to their input.

    The block of ResNet-18 that halves the picture:

        kind: residual
        layers:
          - {kind: conv, channels: 128, kernel: 3, stride: 2, padding: same,
             norm: batch, activation: relu}
          - {kind: conv, channels: 128, kernel: 3, padding: same, norm: batch}
        activation: relu
    """

    kind: Literal["residual"] = "residual"
    layers: Many[Block]
    """The layers that the input goes around."""
    shortcut: Shortcut = "projection"
    """What brings the input to the shape of the layers' output. Where the shapes agree, all of
    them are the input itself. projection is a strided 1 × 1 convolution (of a vector, a dense
    layer); pad takes every n-th position and adds channels of zeros, with no weights; identity
    wants shapes that agree."""
    projection_norm: NormName = "batch"
    """The norm behind the projection."""
    activation: ActivationName = "none"
    """The activation after the addition."""
    drop_path: Share = 0.0
    """The probability that a sample skips the layers while training."""

    @field_validator("layers")
    @classmethod
    def _some(cls, layers: tuple[Block, ...]) -> tuple[Block, ...]:
        if not layers:
            raise ValueError("got no layers; wanted at least one, or no residual")
        return layers

    @model_validator(mode="after")
    def _norm_is_used(self) -> Self:
        if "projection_norm" in self.model_fields_set and self.shortcut != "projection":
            raise ValueError(
                f"projection_norm belongs to shortcut: projection, not to {self.shortcut}; "
                "leave it out"
            )
        return self

    def build(self, signal: Signal) -> Residual:
        """A `Residual` for `signal`."""
        return Residual(self, signal)

    def blocks(self) -> int:
        """Itself and its layers."""
        return 1 + sum(layer.blocks() for layer in self.layers)


class Residual(Streamed):
    """`activation(shortcut(x) + drop_path(layers(x)))`.

    Args:
        spec: The layers, the shortcut, and what follows the addition.
        signal: Any but tokens.

    Shape:
        As the layers.

    Cost:
        A projection has `C * C'` parameters, and those of its norm.

    Source:
        He et al. 2016, "Deep Residual Learning for Image Recognition", section 3.3, 1512.03385:
        pad is option A, projection is option B.

    Raises:
        ShapeError: If the shortcut cannot bring `signal` to the shape of the layers' output.
    """

    def __init__(self, spec: ResidualSpec, signal: Signal) -> None:
        super().__init__()
        self.layers = Chain(spec.layers, signal, "layers")
        must_keep_positions(spec.kind, self.layers)
        self.shortcut = _shortcut(spec, signal, self.layers.gives)
        self.drop_path = DropPath(spec.drop_path) if spec.drop_path else nn.Identity()
        self.activation = activation(spec.activation)

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The input and what the layers add to it."""
        added = through(self.drop_path, self.layers(x, stream), stream)
        y: Tensor = self.activation(through(self.shortcut, x, stream) + added)
        return y


class Pad(nn.Module):
    """Every n-th position, with channels of zeros added on both sides.

    Args:
        stride: Positions from one that is taken to the next, for each dimension.
        extra: Features to add.
        of_image: Whether the features are the channels of an image, before its positions.

    Shape:
        `(B, C, H, W)` to `(B, C + extra, H', W')`, `(B, T, D)` to `(B, T', D + extra)`,
        `(B, D)` to `(B, D + extra)`.
    """

    def __init__(self, stride: tuple[int, ...], extra: int, *, of_image: bool) -> None:
        super().__init__()
        self.stride = stride
        margins = (extra // 2, extra - extra // 2)
        self.margins = (0, 0, 0, 0, *margins) if of_image else margins
        self.first_position = 2 if of_image else 1

    def forward(self, x: Tensor) -> Tensor:
        """The thinned and padded signal."""
        for dim, stride in enumerate(self.stride, start=self.first_position):
            x = x[(slice(None),) * dim + (slice(None, None, stride),)]
        return F.pad(x, self.margins)


def must_keep_positions(kind: str, chain: Chain) -> None:
    """Refuses layers with a way around them that change which positions there are.

    Raises:
        ShapeError: With the block that does.
    """
    for step, block in zip(chain.steps, chain, strict=True):
        if any(isinstance(part, Streamed) and part.moves for part in block.modules()):
            raise ShapeError(
                f"{kind} goes around {step.spec.kind}, behind which there are other positions; "
                "put it before",
                step.place,
            )


def _shortcut(spec: ResidualSpec, reads: Signal, gives: Signal) -> nn.Module:
    if reads == gives:
        return nn.Identity()
    if spec.shortcut == "identity":
        raise ShapeError(
            f"residual adds its input, {reads}, to what its layers give, {gives}; make the "
            "shapes equal, or use shortcut: projection"
        )
    stride = _stride(reads, gives)
    if spec.shortcut == "projection":
        return _projection(spec, reads, gives.width, stride)
    if gives.width < reads.width:
        raise ShapeError(
            f"residual cannot pad its input, {reads}, to the fewer features that its layers "
            f"give, {gives}; use shortcut: projection"
        )
    return Pad(stride, gives.width - reads.width, of_image=reads.form == "image")


def _projection(
    spec: ResidualSpec, reads: Signal, width: int, stride: tuple[int, ...]
) -> nn.Module:
    if reads.form == "vector":
        return DenseSpec(width=width, norm=spec.projection_norm).build(reads)
    conv = ConvSpec(channels=width, kernel=1, stride=stride, norm=spec.projection_norm)
    return conv.build(reads)


def _stride(reads: Signal, gives: Signal) -> tuple[int, ...]:
    """The stride that takes the positions of `reads` to those of `gives`."""
    if reads.form == gives.form == "vector":
        return ()
    if reads.form == gives.form:
        pairs = tuple(zip(positions(reads), positions(gives), strict=True))
        stride = tuple(-(-many // few) for many, few in pairs)
        if all((m - 1) // s + 1 == few for (m, few), s in zip(pairs, stride, strict=True)):
            return stride
    raise ShapeError(
        f"residual cannot bring its input, {reads}, to the shape that its layers give, {gives}; "
        "keep the size (padding: same), or divide it by a stride"
    )
