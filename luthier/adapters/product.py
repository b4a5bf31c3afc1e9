"""A frozen product and the thin one beside it, with no more passes over memory than it takes.

Autograd would copy what the layer gives before it adds the thin product, and add two gradients
of what it reads in a pass of their own: together a fifteenth of a step.

Dimension key, for the whole file:
    N  positions      D  width that is read      E  width that is given      r  rank
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from luthier.adapters.nf4 import Nf4


def adapted_product(
    x: Tensor,
    weight: Tensor | Nf4,
    bias: Tensor | None,
    thin: tuple[Tensor, Tensor],
    scale: float,
    read: Tensor | None = None,
) -> Tensor:
    """`x W^T + b + scale * (read A^T) B^T`, with no gradient of W.

    Products run in the type of autocast where that is on.

    Args:
        x: `(…, D)`.
        weight: `(E, D)`, or its four bits.
        bias: `(E,)`.
        thin: A `(r, D)` and B `(E, r)`.
        scale: A number.
        read: What A reads, where it is not x.
    """
    dtype = _product_dtype(x)
    down, up = thin
    # Casts are out here: autograd sees them, and gradients come back in the type of each.
    given = x.to(dtype), None if read is None else read.to(dtype)
    whole = weight if isinstance(weight, Nf4) else weight.to(dtype)
    added = None if bias is None else bias.to(dtype)
    y: Tensor = _AdaptedProduct.apply(  # type: ignore[no-untyped-call]
        *given, whole, added, down.to(dtype), up.to(dtype), scale
    )
    return y


class _AdaptedProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        read: Tensor | None,
        weight: Tensor | Nf4,
        bias: Tensor | None,
        down_rD: Tensor,
        up_Er: Tensor,
        scale: float,
    ) -> Tensor:
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            read_ND = (x if read is None else read).flatten(0, -2)
            thin_Nr = read_ND @ down_rD.mT
            y = F.linear(x, _whole(weight, x.dtype), bias)
            y_NE = y.view(-1, y.shape[-1])
            torch.addmm(y_NE, thin_Nr, up_Er.mT, alpha=scale, out=y_NE)  # counted, as addmm_ is not
        own = () if isinstance(weight, Nf4) else (weight,)
        ctx.save_for_backward(read_ND, thin_Nr, down_rD, up_Er, *own)
        ctx.nf4 = weight if isinstance(weight, Nf4) else None
        ctx.scale, ctx.apart = scale, read is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        read_ND, thin_Nr, down_rD, up_Er, *own = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        d_NE = d_y.flatten(0, -2)
        d_thin_Nr = (d_NE @ up_Er).mul_(ctx.scale)
        d_x = d_read = None
        if wanted[0]:
            d_x = d_NE @ _whole(own[0] if own else ctx.nf4, d_y.dtype)
            if not ctx.apart:
                d_x.addmm_(d_thin_Nr, down_rD)
            d_x = d_x.view(*d_y.shape[:-1], -1)
        if ctx.apart and wanted[1]:
            d_read = (d_thin_Nr @ down_rD).view(*d_y.shape[:-1], -1)
        d_bias = d_NE.sum(0) if wanted[3] else None
        d_down = d_thin_Nr.mT @ read_ND if wanted[4] else None
        d_up = (d_NE.mT @ thin_Nr).mul_(ctx.scale) if wanted[5] else None
        return d_x, d_read, None, d_bias, d_down, d_up, None


def _whole(weight: Tensor | Nf4, dtype: torch.dtype) -> Tensor:
    return weight.weight(dtype) if isinstance(weight, Nf4) else weight


def _product_dtype(x: Tensor) -> torch.dtype:
    """What autocast would multiply in."""
    kind = x.device.type
    if not x.is_meta and torch.is_autocast_enabled(kind) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return x.dtype
