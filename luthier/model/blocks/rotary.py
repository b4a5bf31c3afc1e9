"""Rotary positions: queries and keys are turned by an angle that grows with their place.

Dimension key, for the whole file:
    B  rows      T  positions      H  heads      E  width of a head
    F  pairs that are turned       G  features that are, 2 F
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from luthier.model.blocks.rotary_scaling import LongRopeScalingSpec, Scaling, YarnScalingSpec
from luthier.model.stream import Stream, positions

BASE = 10_000.0


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
    scaling: Scaling | None = None

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
        angles = places[..., None].float() * self._of_texts(stream, time, like.device)
        cos, sin = angles.cos(), angles.sin()
        if isinstance(self.scaling, YarnScalingSpec | LongRopeScalingSpec):
            cos, sin = cos * self.scaling.longer, sin * self.scaling.longer
        cos, sin = cos.to(like.dtype), sin.to(like.dtype)
        made = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
        if stream is not None and shares:
            stream.shared[key] = made
        return made

    def frequencies(self, device: torch.device | str = "cpu", *, long: bool = False) -> Tensor:
        """The angle from one position to the next, of each pair: `(F,)`.

        Args:
            device: Where they are wanted.
            long: Whether of a text that is longer than the trained context.
        """
        exponents = torch.arange(0, self.width, 2, device=device).float() / self.width
        slow_F = 1.0 / self.base**exponents
        return slow_F if self.scaling is None else self.scaling.scaled(slow_F, self.base, long=long)

    def _of_texts(self, stream: Stream | None, time: int, device: torch.device) -> Tensor:
        """The same of the texts of a pass: `(F,)`, or `(B, T, F)` where they differ."""
        if not isinstance(self.scaling, LongRopeScalingSpec):
            return self.frequencies(device)
        trained = self.scaling.trained_context
        layout = None if stream is None else stream.layout
        if layout is None or max(layout.lengths) <= trained:
            state = None if stream is None else stream.state
            longest = layout.longest if layout else time if state is None else state.capacity
            return self.frequencies(device, long=longest > trained)
        lengths = torch.tensor(layout.lengths, device=device)
        is_long_BT1 = (lengths > trained)[layout.documents_BT.clamp(min=0)][..., None]
        long_F, short_F = (self.frequencies(device, long=long) for long in (True, False))
        return torch.where(is_long_BT1, long_F, short_F)

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
