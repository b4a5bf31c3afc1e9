"""Reversible norm: a series is brought to one level and spread, and what comes out goes back.

Dimension key, for the whole file:
    B  batch      T  positions      H  positions that the layers give      D  width
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.chain import Chain
from luthier.model.stream import Stream, Streamed, through, whole_rows_only
from luthier.signal import Signal
from luthier.spec import Many

if TYPE_CHECKING:
    Block = BlockSpec  # the union of all blocks, which `blocks/__init__.py` makes


class ReversibleNormSpec(BlockSpec):
    """`spread * layers((x - level) / spread) + level`, of each feature of each row by itself.

    So the layers see a shape and not how high it lies, which differs between the rows that are
    trained on and those that come later. `{centre: last, scale: false, learned: false}` is that of
    NLinear: what is forecast is the change from the last value.
    """

    kind: Literal["reversible_norm"] = "reversible_norm"
    layers: Many[Block]
    """The layers between; they give a sequence of the same features, of any length."""
    centre: Literal["mean", "last"] = "mean"
    """The level that is taken away: the mean over time, or the last value."""
    scale: bool = True
    """Whether values are divided by their standard deviation over time."""
    learned: bool = True
    """Whether each feature is also multiplied and shifted as learned, and back."""
    epsilon: float = Field(default=1e-5, gt=0, lt=1)
    """Added to the variance, against a division by zero."""

    @model_validator(mode="after")
    def _all_is_used(self) -> Self:
        if not self.scale and "epsilon" in self.model_fields_set:
            raise ValueError("epsilon belongs to scale: true; leave it out")
        return self

    def build(self, signal: Signal) -> ReversibleNorm:
        """A `ReversibleNorm` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return ReversibleNorm(self, signal)

    def blocks(self) -> int:
        """Itself and its layers."""
        return 1 + sum(layer.blocks() for layer in self.layers)


class ReversibleNorm(Streamed):
    """Layers between a norm over time and its inverse.

    The layers may give several values for each feature side by side, such as quantiles: features
    that are a multiple of those that are read, those of one next to each other.

    Args:
        spec: The layers, and what is taken away.
        signal: A sequence `(T, D)`.

    Shape:
        `(B, T, D)` to `(B, H, D)`, or `(B, H, D * n)`.

    Cost:
        Parameters: those of the layers, and `2 * D` where it is learned.

    Raises:
        ShapeError: If the layers give other features.

    Source:
        Kim et al. 2022, "Reversible Instance Normalization", ICLR, section 3; the last value as
        the level: Zeng et al. 2022, 2205.13504, section 4.
    """

    def __init__(self, spec: ReversibleNormSpec, signal: Signal) -> None:
        super().__init__()
        self.spec = spec
        self.layers = Chain(spec.layers, signal, "layers")
        gives = self.layers.gives
        if gives.form != "sequence" or gives.width % signal.width:
            raise ShapeError(
                f"reversible_norm reads {signal}, but its layers give {gives}; wanted a sequence "
                f"with {signal.width} features, so that each gets its own level back"
            )
        self.copies = gives.width // signal.width
        self.affine = Affine(signal.width) if spec.learned else None
        self.gives = gives

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """What the layers make of the shape, at the level and with the spread of the input."""
        whole_rows_only("reversible_norm", x_BTD, stream, "leave it out")
        centre = self.spec.centre
        level_B1D = x_BTD.mean(1, keepdim=True) if centre == "mean" else x_BTD[:, -1:]
        level_B1D = level_B1D.detach()
        x_BTD = x_BTD - level_B1D
        spread_B1D = None
        if self.spec.scale:
            variance_B1D = x_BTD.detach().var(1, keepdim=True, correction=0)
            spread_B1D = (variance_B1D + self.spec.epsilon).sqrt()
            x_BTD = x_BTD / spread_B1D
        if self.affine is not None:
            x_BTD = x_BTD * self.affine.weight + self.affine.bias
        y_BHE = through(self.layers, x_BTD, stream)
        y_BHDn = y_BHE.reshape(*y_BHE.shape[:2], -1, self.copies)
        if self.affine is not None:
            y_BHDn = (y_BHDn - self.affine.bias[:, None]) / self.affine.divisor[:, None]
        if spread_B1D is not None:
            y_BHDn = y_BHDn * spread_B1D[..., None]
        return (y_BHDn + level_B1D[..., None]).flatten(2)


class Affine(nn.Module):
    """What multiplies and shifts each feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))

    @property
    def divisor(self) -> Tensor:
        """The weight, kept from zero."""
        return self.weight + torch.where(self.weight < 0, -1e-8, 1e-8)
