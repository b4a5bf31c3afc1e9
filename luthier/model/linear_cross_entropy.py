"""The loss of a language model without all of its scores: a slice of positions at a time.

Dimension key, for the whole file:
    N  positions with a target      V  vocab      D  width      C  positions of a slice
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SLICE_ELEMENTS = 2**23
"""Scores that are there at once, in the type of the products: 16 MiB in bfloat16."""
LEAST_POSITIONS = 256
"""Fewer would leave a product of matrices too thin to be fast."""
PIECE_ELEMENTS = 2**20
"""Scores that are turned into losses at once, in float32: 4 MiB, which stay in a CPU's cache."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How scores are made and what they cost.

    Attributes:
        softcap: Scores are kept between ± this, by `softcap * tanh(score / softcap)`.
        label_smoothing: The share of the target that is spread over all tokens.
        z_loss: Times the squared logarithm of the sum of exp(scores), added to the loss.
    """

    softcap: float | None = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0


def linear_cross_entropy(
    x_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    targets_N: Tensor,
    scoring: Scoring,
) -> tuple[Tensor, Tensor]:
    """`cross_entropy(x W^T + b, targets)`, summed, with memory for a slice of the scores only.

    The gradient is made together with the loss, while a slice of the scores is there: three
    products of matrices as elsewhere, and none is done twice. Products run in the type of
    autocast where that is on; scores, loss and the sum of the weight's gradient are in float32
    at least.

    Args:
        x_ND: What the output layer reads, where there is a target.
        weight_VD: Of the output layer.
        bias_V: Of the output layer.
        targets_N: int64 tokens.
        scoring: How the scores are made, and what is added to the loss.

    Returns:
        The loss, a scalar; and what of it is the z-loss, a scalar without a gradient.

    Cost:
        Memory: `SLICE_ELEMENTS` scores, and the gradients of x and W.

    Source:
        The slices and the gradient in the forward pass: Hsu et al. 2024 (Liger Kernel), section
        3.2, 2410.10989. z-loss: PaLM, section 5, 2204.02311.

    Example:
        >>> x, weight = torch.randn(5, 3), torch.randn(7, 3)
        >>> targets = torch.tensor([0, 6, 2, 2, 1])
        >>> loss, _ = linear_cross_entropy(x, weight, None, targets, Scoring())
        >>> bool(torch.isclose(loss, F.cross_entropy(x @ weight.T, targets, reduction="sum")))
        True
    """

    loss: Tensor
    loss, z = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        x_ND, weight_VD, bias_V, targets_N, scoring
    )
    return loss, z


def linear_nats(
    x_ND: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    targets_N: Tensor,
    softcap: float | None,
) -> tuple[Tensor, Tensor]:
    """`-log p` of each target, and whether it is the likeliest token: `(N,)` both."""
    nats, right = [x_ND.new_zeros(0, dtype=torch.float32)], [targets_N.new_zeros(0).bool()]
    with torch.no_grad():
        for part, scores_CV in _slices(*_cast(x_ND, weight_VD, bias_V)):
            for piece in _pieces(scores_CV):
                scores = capped(_high(scores_CV[piece]), softcap)
                found = nats_of(scores, targets_N[part][piece])
                nats.append(found[0])
                right.append(found[1])
    return torch.cat(nats), torch.cat(right)


def nats_of(scores_NV: Tensor, targets_N: Tensor) -> tuple[Tensor, Tensor]:
    """The same from scores in float32 or more."""
    nats_N = F.cross_entropy(scores_NV, targets_N, reduction="none")
    return nats_N, scores_NV.argmax(1) == targets_N


def cross_entropy(scores_NV: Tensor, targets_N: Tensor, scoring: Scoring) -> tuple[Tensor, Tensor]:
    """The loss and its z-loss from scores in float32 or more that are capped already."""
    loss = F.cross_entropy(
        scores_NV, targets_N, reduction="sum", label_smoothing=scoring.label_smoothing
    )
    if not scoring.z_loss:
        return loss, loss.new_zeros(())
    z = scoring.z_loss * scores_NV.logsumexp(1).square().sum()
    return loss + z, z.detach()


def capped(scores: Tensor, softcap: float | None) -> Tensor:
    """Scores within ± the cap, where there is one."""
    return scores if softcap is None else softcap * (scores / softcap).tanh()


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        scoring: Scoring,
    ) -> tuple[Tensor, Tensor]:
        wanted = ctx.needs_input_grad[:3]
        dtype = _product_dtype(x_ND)
        x, weight, bias = _cast(x_ND, weight_VD, bias_V)
        high = torch.promote_types(dtype, torch.float32)
        dx_ND = torch.empty_like(x_ND, dtype=dtype) if wanted[0] else None
        # Sums over slices, so in 32 bits.
        dw_VD: Tensor | None = None
        db_V: Tensor | None = None
        loss = torch.zeros((), dtype=high, device=x_ND.device)
        z = torch.zeros((), dtype=high, device=x_ND.device)
        with torch.autocast(x_ND.device.type, enabled=False):
            for part, scores_CV in _slices(x, weight, bias):
                for piece in _pieces(scores_CV):
                    there = scores_CV[piece]
                    loss_C, z_C, d_CV = _graded(_high(there), targets_N[part][piece], scoring)
                    loss += loss_C
                    z += z_C
                    if d_CV is not there:
                        there.copy_(d_CV)
                if dx_ND is not None:
                    torch.mm(scores_CV, weight, out=dx_ND[part])
                if wanted[1]:
                    dw_VD = _plus(dw_VD, scores_CV.T @ x[part], high)
                if bias_V is not None and wanted[2]:
                    db_V = _plus(db_V, scores_CV.sum(0, dtype=high), high)
        ctx.save_for_backward(dx_ND, dw_VD, db_V)
        ctx.dtypes = (x_ND.dtype, weight_VD.dtype, None if bias_V is None else bias_V.dtype)
        ctx.mark_non_differentiable(z)
        return loss + z, z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_loss: Tensor, _d_z: Tensor) -> tuple[Tensor | None, ...]:
        gradients = [
            None if made is None else (made * d_loss.to(made.dtype)).to(dtype)
            for made, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        ]
        return (*gradients, None, None)


def _plus(total: Tensor | None, part: Tensor, dtype: torch.dtype) -> Tensor:
    """A sum in a type of its own; the first part begins it."""
    return part.to(dtype) if total is None else total.add_(part)


def _graded(
    scores_CV: Tensor, targets_C: Tensor, scoring: Scoring
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a piece, its z-loss, and the gradient by the scores, made in their place."""
    smoothing, z_loss, softcap = scoring.label_smoothing, scoring.z_loss, scoring.softcap
    steepness_CV = None
    if softcap is not None:
        tanh_CV = scores_CV.div_(softcap).tanh_()
        steepness_CV = 1 - tanh_CV.square()
        scores_CV = tanh_CV.mul_(softcap)
    target_C1 = targets_C[:, None]
    right_C = scores_CV.gather(1, target_C1)[:, 0]
    most_C = scores_CV.amax(1)
    mean_C = scores_CV.mean(1) if smoothing else None
    p_CV = torch.softmax(scores_CV, 1, out=scores_CV)
    # p = exp(score - lse), and that of the highest score is at least 1 / V.
    lse_C = most_C - p_CV.amax(1).log()
    loss = lse_C.sum() - (1 - smoothing) * right_C.sum()
    if mean_C is not None:
        loss = loss - smoothing * mean_C.sum()
    z = z_loss * lse_C.square().sum()
    d_CV = p_CV.mul_((1 + 2 * z_loss * lse_C)[:, None]) if z_loss else p_CV
    if smoothing:
        d_CV -= smoothing / d_CV.shape[1]
    d_CV.scatter_add_(1, target_C1, d_CV.new_full(target_C1.shape, smoothing - 1))
    if steepness_CV is not None:
        d_CV *= steepness_CV
    return loss, z, d_CV


def _slices(
    x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None
) -> Iterator[tuple[slice, Tensor]]:
    """Slices of the positions, with their scores; one of none where there are no positions."""
    for part in slices_of(len(x_ND), len(weight_VD)):
        yield part, F.linear(x_ND[part], weight_VD, bias_V)


def slices_of(positions: int, vocab: int) -> Iterator[slice]:
    """Stretches of positions whose scores are there at once."""
    size = max(LEAST_POSITIONS, SLICE_ELEMENTS // vocab)
    for start in range(0, max(positions, 1), size):
        yield slice(start, min(start + size, positions))


def _pieces(scores_CV: Tensor) -> Iterator[slice]:
    """Rows of scores that are in the cache together; on a GPU there is no need."""
    rows = len(scores_CV)
    size = rows if scores_CV.is_cuda else max(1, PIECE_ELEMENTS // scores_CV.shape[1])
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def _high(scores_CV: Tensor) -> Tensor:
    """The same in float32 at least."""
    return scores_CV.to(torch.promote_types(scores_CV.dtype, torch.float32))


def _cast(
    x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """All in the type of the products."""
    dtype = _product_dtype(x_ND)
    return x_ND.to(dtype), weight_VD.to(dtype), None if bias_V is None else bias_V.to(dtype)


def _product_dtype(x: Tensor) -> torch.dtype:
    """What autocast would multiply in."""
    kind = x.device.type
    if torch.is_autocast_enabled(kind) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return x.dtype
