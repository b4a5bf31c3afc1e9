"""What each target costs by an output layer, with a gradient, without all of the scores at once.

Dimension key, for the whole file:
    N  positions with a target      V  vocab      D  width      C  positions of a slice
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from luthier.model.linear_cross_entropy import capped, linear_nats, slices_of


def nats_with_gradient(
    x_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    targets_N: Tensor,
    softcap: float | None,
) -> Tensor:
    """`-log p` of each target, `(N,)`, each of which may weigh otherwise in what follows.

    The scores are made again for the gradient, a slice of positions at a time: what they weigh is
    known only when the losses of whole texts are.

    Args:
        x_ND: What the output layer reads, where there is a target.
        weight_VD: Of the output layer.
        bias_V: Of the output layer.
        targets_N: int64 tokens.
        softcap: Scores are kept between ± this.

    Cost:
        One product of matrices more than `linear_cross_entropy`, the same memory.

    Example:
        >>> x, weight = torch.randn(5, 3), torch.randn(7, 3)
        >>> nats = nats_with_gradient(x, weight, None, torch.tensor([0, 6, 2, 2, 1]), None)
        >>> bool(torch.allclose(nats[0], -(x @ weight.T).log_softmax(1)[0, 0], atol=1e-6))
        True
    """
    found: Tensor = _Nats.apply(x_ND, weight_VD, bias_V, targets_N, softcap)  # type: ignore[no-untyped-call]
    return found


class _Nats(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        softcap: float | None,
    ) -> Tensor:
        ctx.save_for_backward(x_ND, weight_VD, bias_V, targets_N)
        ctx.softcap = softcap
        kind = x_ND.device.type
        ctx.autocast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        return linear_nats(x_ND, weight_VD, bias_V, targets_N, softcap)[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_N: Tensor) -> tuple[Tensor | None, ...]:
        x_ND, weight_VD, bias_V, targets_N = ctx.saved_tensors
        kind, wanted = x_ND.device.type, ctx.needs_input_grad
        dx_ND = torch.zeros_like(x_ND) if wanted[0] else None
        high = torch.promote_types(weight_VD.dtype, torch.float32)
        dw_VD = torch.zeros_like(weight_VD, dtype=high) if wanted[1] else None
        db_V = None if bias_V is None or not wanted[2] else torch.zeros_like(bias_V, dtype=high)
        with torch.autocast(kind, dtype=ctx.autocast, enabled=ctx.autocast is not None):
            for part in slices_of(len(x_ND), len(weight_VD)):
                d_CV = _by_scores(
                    torch.nn.functional.linear(x_ND[part], weight_VD, bias_V),
                    targets_N[part],
                    d_N[part],
                    ctx.softcap,
                )
                if dx_ND is not None:
                    dx_ND[part] = (d_CV @ weight_VD).to(x_ND.dtype)
                if dw_VD is not None:
                    dw_VD += (d_CV.T @ x_ND[part]).to(high)
                if db_V is not None:
                    db_V += d_CV.sum(0, dtype=high)
        weight = None if dw_VD is None else dw_VD.to(weight_VD.dtype)
        bias = None if db_V is None or bias_V is None else db_V.to(bias_V.dtype)
        return dx_ND, weight, bias, None, None


def _by_scores(scores_CV: Tensor, targets_C: Tensor, d_C: Tensor, softcap: float | None) -> Tensor:
    """The gradient by the scores of a slice, in the type that they came in."""
    dtype = scores_CV.dtype
    high = torch.promote_types(dtype, torch.float32)
    capped_CV = capped(scores_CV.to(high), softcap)
    grad_CV = capped_CV.softmax(1)
    grad_CV.scatter_add_(1, targets_C[:, None], grad_CV.new_full((len(targets_C), 1), -1.0))
    grad_CV *= d_C.to(high)[:, None]
    if softcap is not None:
        grad_CV *= 1 - (capped_CV / softcap).square()
    return grad_CV.to(dtype)
