"""Activations: a curve that each value goes through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Self, get_args

from pydantic import Field, model_validator
from torch import nn

from luthier.model.block import BlockSpec
from luthier.signal import Signal

Curve = Literal[
    "relu",
    "relu6",
    "leaky_relu",
    "prelu",
    "elu",
    "selu",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "softplus",
    "softsign",
    "tanh",
    "sigmoid",
    "hard_tanh",
    "hard_sigmoid",
    "hard_swish",
]
"""The activations. Softmax is none of them: a head's outputs go to the loss as they are."""

ActivationName = Literal["none"] | Curve
"""An activation inside another block, or none."""

LEAKY_SLOPE = 0.01

_MODULES: Mapping[Curve, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": lambda: nn.LeakyReLU(LEAKY_SLOPE),
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_tanh": nn.Hardtanh,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_swish": nn.Hardswish,
}
assert set(_MODULES) == set(get_args(Curve))


class ActivationSpec(BlockSpec):
    """A curve that each value goes through: `{kind: activation, name: relu}`.

    Conv and dense take the same names as their `activation`.
    """

    kind: Literal["activation"] = "activation"
    name: Curve
    """Which curve. gelu_tanh is the approximation of gelu that GPT-2 uses, silu is also called
    swish, prelu learns one slope for negative values."""
    slope: float | None = Field(default=None, ge=0, lt=1)
    """The slope of leaky_relu for negative values; none means 0.01."""

    @model_validator(mode="after")
    def _slope_is_used(self) -> Self:
        if self.slope is not None and self.name != "leaky_relu":
            raise ValueError(f"slope belongs to leaky_relu, not to {self.name}; leave it out")
        return self

    def build(self, signal: Signal) -> nn.Module:
        """The activation; it reads any signal but tokens."""
        if signal.form == "tokens":
            raise self.unreadable("numbers", signal)
        return nn.LeakyReLU(self.slope) if self.slope is not None else activation(self.name)


def activation(name: ActivationName) -> nn.Module:
    """The module called `name`; an identity for none."""
    return nn.Identity() if name == "none" else _MODULES[name]()
