"""Gated convolution: what is near, in a Transformer's step: the convolution of a Conformer.

Dimension key, for the whole file:
    B  rows      T  positions      D  width
"""

from __future__ import annotations

from typing import Literal, Self

import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from luthier.model.block import Size
from luthier.model.blocks.activation import ActivationName
from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.sublayer import Sublayer, SublayerSpec
from luthier.model.stream import Stream, Streamed, through
from luthier.signal import Signal


class GatedConvSpec(SublayerSpec):
    """Every position takes in its neighbours, each feature by itself, between two dense layers of
    which the first is gated.

    With its norm and its residual: what a Conformer has between attention and MLP.
    """

    kind: Literal["gated_conv"] = "gated_conv"
    kernel: Size = 31
    """Positions that the convolution reads; odd, unless causal."""
    causal: bool = False
    """Whether it reads no later positions."""
    inner_norm: Literal["none", "batch", "layer"] = "batch"
    """The norm behind the convolution."""
    activation: ActivationName = "silu"
    """The activation behind that norm."""
    bias: bool = True
    """Whether the two dense layers add learned numbers."""

    @model_validator(mode="after")
    def _has_a_middle(self) -> Self:
        if self.kernel % 2 == 0 and not self.causal:
            raise ValueError(f"kernel: got {self.kernel}; wanted an odd number, or causal: true")
        return self

    def build(self, signal: Signal) -> Sublayer:
        """A `Sublayer` with a `GatedConv` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        inner = GatedConv(self, signal)
        return Sublayer(self, inner, signal, (inner.out,))


class GatedConv(Streamed):
    """`(curve(norm(conv(a * sigmoid(b))))) W + c`, where a and b are halves of a dense layer.

    Args:
        spec: The convolution.
        signal: A sequence `(T, D)`.

    Shape:
        `(B, T, D)` to the same.

    Cost:
        Parameters: `3 * D * D + kernel * D`, and biases and norms.
        FLOPs of one forward pass: two a weight and position.

    Source:
        Gulati et al. 2020, "Conformer", section 2.2, 2005.08100. The gate: Dauphin et al. 2017,
        1612.08083.
    """

    def __init__(self, spec: GatedConvSpec, signal: Signal) -> None:
        super().__init__()
        width = signal.width
        self.gated = nn.Linear(width, 2 * width, bias=spec.bias)
        self.conv = ConvSpec(
            channels=width,
            kernel=spec.kernel,
            padding="causal" if spec.causal else "same",
            groups="depthwise",
            norm=spec.inner_norm,
            activation=spec.activation,
        ).build(signal)
        self.out = nn.Linear(width, width, bias=spec.bias)

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """What each position takes in."""
        y_BTD: Tensor = self.out(through(self.conv, F.glu(self.gated(x_BTD), -1), stream))
        return y_BTD
