"""Dense: every output reads every input.

Dimension key, for the whole file:
    B  batch      T  time      D  width
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from luthier.model.block import BlockSpec, Size
from luthier.model.blocks.activation import ActivationName, activation
from luthier.model.blocks.norm import NormName, bias_is_used, norm
from luthier.model.stream import Stream, Streamed, through
from luthier.signal import Signal
from luthier.spec import Auto


class DenseSpec(BlockSpec):
    """A weighted sum of all inputs for each output; of a sequence, at each position alone."""

    kind: Literal["dense"] = "dense"
    width: Size
    """Outputs."""
    bias: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether each output adds a learned number; auto leaves it out before a norm that takes it
    away again."""
    norm: NormName = "none"
    """The norm behind the sums."""
    activation: ActivationName = "none"
    """The activation behind the norm."""

    def build(self, signal: Signal) -> Dense:
        """A `Dense` for `signal`."""
        if signal.form not in ("vector", "sequence"):
            raise self.unreadable("a vector", signal, "add {kind: flatten} before it")
        return Dense(self, signal)


class Dense(Streamed):
    """`activation(norm(x W^T + b))`.

    Args:
        spec: The width, and what follows the sums.
        signal: A vector `(D,)` or a sequence `(T, D)`.

    Shape:
        `(B, D)` to `(B, width)`, `(B, T, D)` to `(B, T, width)`.

    Cost:
        Parameters: `D * width`, plus `width` with a bias.
        FLOPs of one forward pass: `2 * D * width` a position.

    Example:
        >>> import torch
        >>> dense = DenseSpec(width=3, activation="relu").build(Signal.of((5,)))
        >>> dense(torch.zeros(2, 5)).shape
        torch.Size([2, 3])
    """

    def __init__(self, spec: DenseSpec, signal: Signal) -> None:
        super().__init__()
        bias = bias_is_used(spec.norm) if spec.bias == "auto" else spec.bias
        gives = Signal(signal.form, (*signal.shape[:-1], spec.width))
        self.linear = nn.Linear(signal.width, spec.width, bias=bias)
        self.norm = norm(spec.norm, gives)
        self.activation = activation(spec.activation)

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The sums, normalised and activated."""
        y: Tensor = self.activation(through(self.norm, self.linear(x), stream))
        return y
