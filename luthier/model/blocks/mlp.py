"""MLP: two dense layers with a curve between them, wider inside.

Dimension key, for the whole file:
    B  rows      T  positions      D  width      F  width inside
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.model.block import Share, Size
from luthier.model.blocks.activation import ActivationName, activation
from luthier.model.blocks.sublayer import Sublayer, SublayerSpec
from luthier.model.dropped import Dropout
from luthier.signal import Signal
from luthier.spec import Auto

MULTIPLE = 8
"""Of a width inside that no whole number gives: sizes that suit the machine."""


class MlpSpec(SublayerSpec):
    """Each position by itself through a wider layer: the half of a Transformer that attention is
    not."""

    kind: Literal["mlp"] = "mlp"
    width: Size | None = None
    """The width inside; none means `ratio` times the width of what it reads."""
    ratio: float | None = Field(default=None, gt=0, le=64)
    """The width inside as a multiple; what is no whole number goes to the nearest multiple of 8.
    None means 4, or 8/3 where gated, which has as many weights."""
    gated: bool = False
    """Whether a second layer of the same width multiplies the activated one."""
    activation: ActivationName | Auto = "auto"
    """The curve; auto means silu where gated, gelu where not."""
    bias: bool = False
    """Whether the layers add learned numbers."""
    inside_dropout: Share = 0.0
    """The share of the values inside left out while training."""

    @model_validator(mode="after")
    def _one_width(self) -> Self:
        check_width(self.width, self.ratio)
        return self

    def build(self, signal: Signal) -> Sublayer:
        """A `Sublayer` with an `Mlp` for `signal`."""
        if signal.form not in ("sequence", "vector"):
            raise self.unreadable("a sequence or a vector", signal, "add {kind: flatten} before it")
        inside = width_inside(self.width, self.ratio, gated=self.gated, around=signal.width)
        mlp = Mlp(
            signal.width,
            inside,
            gated=self.gated,
            activation=self.activation,
            bias=self.bias,
            dropout=self.inside_dropout,
        )
        return Sublayer(self, mlp, signal, (mlp.down,))


class Mlp(nn.Module):
    """`down(activation(up(x)))`, or gated `down(activation(gate(x)) * up(x))`.

    Args:
        width: D.
        inside: F.
        gated: Whether there is a gate.
        activation: The curve; auto means silu where gated, gelu where not.
        bias: Of all layers.
        dropout: The share of what `down` reads that is left out while training.

    Shape:
        `(…, D)` to the same.

    Cost:
        Parameters: `2 * D * F`, gated `3 * D * F`, plus biases.
        FLOPs of one forward pass: two a weight and position.

    Source:
        Vaswani et al. 2017, section 3.3, 1706.03762. Gated: Shazeer 2020, 2002.05202.
    """

    def __init__(
        self,
        width: int,
        inside: int,
        *,
        gated: bool,
        activation: ActivationName | Auto,
        bias: bool,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.gate = nn.Linear(width, inside, bias=bias) if gated else None
        self.up = nn.Linear(width, inside, bias=bias)
        self.activation = curve(activation, gated=gated)
        self.dropout = Dropout(dropout)
        self.down = nn.Linear(inside, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Each position through the layers."""
        if self.gate is None:
            inside = self.activation(self.up(x))
        else:
            inside = self.activation(self.gate(x)) * self.up(x)
        y: Tensor = self.down(self.dropout(inside))
        return y


def curve(name: ActivationName | Auto, *, gated: bool) -> nn.Module:
    """The activation of an MLP."""
    if name == "auto":
        name = "silu" if gated else "gelu"
    return activation(name)


def check_width(width: int | None, ratio: float | None) -> None:
    """Refuses two widths.

    Raises:
        ValueError: In words.
    """
    if width is not None and ratio is not None:
        raise ValueError("got both width and ratio, which say the same; leave one out")


def width_inside(width: int | None, ratio: float | None, *, gated: bool, around: int) -> int:
    """The width inside of an MLP.

    Args:
        width: If it is given.
        ratio: Else, if that is given.
        gated: Whether there is a gate, for what is meant by neither.
        around: D.

    Example:
        >>> width_inside(None, None, gated=False, around=768)
        3072
        >>> width_inside(None, 2.67, gated=True, around=384)
        1024
    """
    if width is not None:
        return width
    exact = (ratio or (8 / 3 if gated else 4.0)) * around
    if math.isclose(exact, round(exact)):
        return max(round(exact), 1)
    return max(round(exact / MULTIPLE), 1) * MULTIPLE
