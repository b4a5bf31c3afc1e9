"""Rotary positions: queries and keys are turned by an angle that grows with their place.

Dimension key, for the whole file:
    B  rows      T  positions      H  heads      E  width of a head
    F  pairs that are turned       G  features that are, 2 F
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.autograd.function import once_differentiable

from luthier.model.block import Size
from luthier.model.stream import Stream, positions
from luthier.spec import Spec

BASE = 10_000.0

Factor = Annotated[float, Field(ge=1, le=1e6)]


class LinearScalingSpec(Spec):
    """All angles divided by a factor: a longer text looks like a short one.

    Source:
        Chen et al. 2023, 2306.15595.
    """

    kind: Literal["linear"] = "linear"
    factor: Factor
    """How many times longer the text may be."""


class Llama3ScalingSpec(Spec):
    """Slow turns divided by a factor, fast ones left, those between in between, as in Llama 3.1.

    Source:
        `rope_scaling` of the released configurations; Dubey et al. 2024, 2407.21783.
    """

    kind: Literal["llama3"] = "llama3"
    factor: Factor = 8.0
    """How many times longer the text may be."""
    low_frequency: float = Field(default=1.0, gt=0)
    """What turns at most so often in the trained context is divided by the whole factor."""
    high_frequency: float = Field(default=4.0, gt=0)
    """What turns at least so often in the trained context is left as it is."""
    trained_context: Size = 8192
    """The context of the training before, in tokens."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.high_frequency <= self.low_frequency:
            raise ValueError(
                f"high_frequency: got {self.high_frequency:g}, wanted more than low_frequency, "
                f"{self.low_frequency:g}"
            )
        return self


RotaryScaling = Annotated[LinearScalingSpec | Llama3ScalingSpec, Field(discriminator="kind")]
"""How angles are made smaller, so that a network reads longer texts than it was trained on."""


@dataclass(frozen=True)
class Rotary:
    """Pairs of features turned by `place * base^(-2 f / width)`, f from 0.

    The product of a query and a key then depends on how far apart they are, not on where. The
    pairs are feature f and feature `width / 2 + f`, "rotate half", as in Hugging Face's Llama;
    the first implementation (GPT-J, Meta's Llama) pairs neighbours, which is another order of
    the weights' rows.

    Args:
        width: Features of a head that are turned, the first ones; even.
        base: The slowest pair turns once in about `2 pi base` positions.
        scaling: How angles are made smaller; none leaves them.

    Cost:
        `3 * width` multiply-adds a head and position; no weights.

    Source:
        Su et al. 2021, 2104.09864.
    """

    width: int
    base: float = BASE
    scaling: LinearScalingSpec | Llama3ScalingSpec | None = None

    def angles(self, stream: Stream | None, time: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines for each position of a pass: `(T, G)`, or `(B, T, G)`.

        Of each pair the sine comes twice: what the second feature adds to the first, and what the
        first adds to the second. Made once for all layers that turn alike. In float32, whatever
        the network's type, then rounded to it: so far from the start, bfloat16 would not tell
        neighbours apart.

        Args:
            stream: Of the forward pass.
            time: T.
            like: What will be turned, for its device and type.
        """
        key = (self, like.dtype)
        # What is compiled cannot share: it would be compiled anew for whoever comes first.
        shares = stream is not None and not torch.compiler.is_compiling()
        if stream is not None and shares and key in stream.shared:
            made: tuple[Tensor, Tensor] = stream.shared[key]
            return made
        places = positions(stream, time, like.device)
        angles = places[..., None].float() * self.frequencies(like.device)
        cos, sin = angles.cos().to(like.dtype), angles.sin().to(like.dtype)
        made = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
        if stream is not None and shares:
            stream.shared[key] = made
        return made

    def frequencies(self, device: torch.device | str = "cpu") -> Tensor:
        """The angle from one position to the next, of each pair: `(F,)`."""
        exponents = torch.arange(0, self.width, 2, device=device).float() / self.width
        slow_F = 1.0 / self.base**exponents
        match self.scaling:
            case None:
                return slow_F
            case LinearScalingSpec(factor=factor):
                return slow_F / factor
            case Llama3ScalingSpec() as scaling:
                turns = scaling.trained_context * slow_F / (2 * math.pi)
                span = scaling.high_frequency - scaling.low_frequency
                left = ((turns - scaling.low_frequency) / span).clamp(0, 1)
                return (1 - left) * slow_F / scaling.factor + left * slow_F

    def turned(self, x_BTHE: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """`x_BTHE`, each position turned by its angles."""
        cos, sin = (x[..., None, :] for x in angles)
        if torch.is_grad_enabled() and x_BTHE.requires_grad:
            y_BTHE: Tensor = _Turned.apply(x_BTHE, cos, sin)  # type: ignore[no-untyped-call]
            return y_BTHE
        return _turned(x_BTHE, cos, sin)


class _Turned(torch.autograd.Function):
    """Back by the same angles is the gradient, in half of the operations that autograd takes."""

    @staticmethod
    def forward(ctx: Any, x_BTHE: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x_BTHE, cos, sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BTHE: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turned(dy_BTHE, cos, -sin), None, None


def _turned(x_BTHE: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    width = cos.shape[-1]
    x_BTHG = x_BTHE[..., :width]
    y_BTHG = torch.addcmul(x_BTHG * cos, x_BTHG.roll(width // 2, -1), sin)
    if width == x_BTHE.shape[-1]:
        return y_BTHG
    return torch.cat([y_BTHG, x_BTHE[..., width:]], -1)
