"""Attention on a CPU by whole products of matrices, with a backward by hand.

Torch's own kernel goes tile by tile, which saves memory, but its tiles are too small for the
bfloat16 products of a CPU, and its backward makes all weights anew. With one product for all
heads at once, and the weights kept, attention takes 0.35 of the time in training at a context of
256, 0.25 without a mask at 128, 0.54 at 1,024; without a gradient 0.6 to 0.75 (measured on one
core with avx512_bf16). In float32 there is nothing to gain, but for dropout, which torch's kernel
has not: then its way is a dozen operations with all weights in float32.

Dimension key, for the whole file:
    B  rows              T  queries                 S  keys
    H  query heads       K  key/value heads         G  query heads of one key/value head
    E  width of a head   N  B * K                   Q  queries of a block
    C  keys that the queries of a block see
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from luthier.model.dropped import kept

BLOCK = 128
"""Queries that are looked at together where attention is causal, with the keys up to the last of
them. Fewer leave out more keys that are not seen, but make products too thin."""
LEAST_QUERIES = 256
"""In all rows and heads. Fewer are not worth the operations; without a gradient, of which torch's
kernel is slow, fewer than `LEAST_UNLEARNED`."""
LEAST_UNLEARNED = 4096
MOST_KEYS = 1024
"""Where causal; else half as many. With more keys the weights, one for each pair of positions that
see each other, would take more memory than all the rest that a layer keeps for its backward."""


def suits(
    q_BHTE: Tensor, k_BKSE: Tensor, mask: Tensor | None, *, causal: bool, dropout: float
) -> bool:
    """Whether `attend_by_products` is the faster way, for the same arguments.

    It gives no gradient for a mask.
    """
    if q_BHTE.device.type != "cpu" or (mask is not None and mask.requires_grad):
        return False
    if dropout:
        return not torch.compiler.is_compiling()
    learns = torch.is_grad_enabled() and (q_BHTE.requires_grad or k_BKSE.requires_grad)
    return (
        q_BHTE.dtype == torch.bfloat16
        and q_BHTE.shape[:3].numel() >= (LEAST_QUERIES if learns else LEAST_UNLEARNED)
        and k_BKSE.shape[2] <= (MOST_KEYS if causal else MOST_KEYS // 2)
    )


def attend_by_products(
    q_BHTE: Tensor,
    k_BKSE: Tensor,
    v_BKSE: Tensor,
    mask: Tensor | None,
    *,
    scale: float | None,
    causal: bool,
    dropout: float = 0.0,
) -> Tensor:
    """`softmax(scale q k^T + mask) v`: what `scaled_dot_product_attention` gives.

    Args:
        q_BHTE: Queries.
        k_BKSE: Keys; K divides H.
        v_BKSE: Values.
        mask: Added to the scores or, where it is bool, true for those that count. `(1 or B,
            1 or H, 1 or T, S)`. Not where causal.
        scale: None means `1 / sqrt(E)`.
        causal: Whether a query sees no later key; T and S are the same then.
        dropout: The share of the weights left out, in this pass.

    Returns:
        `(B, H, T, E)`, a view of `(B, T, H, E)`.

    Cost:
        FLOPs: of a causal pass, `1 / 2 + BLOCK / 2 T` of those of all pairs.
        Memory: the weights of all pairs that were looked at, for the backward; with dropout twice
        as much.

    Source:
        The gradient: Dao et al. 2022, appendix B.2, 2205.14135.

    Example:
        >>> q, k, v = torch.randn(3, 2, 4, 300, 16)
        >>> y = attend_by_products(q, k, v, None, scale=None, causal=True)
        >>> y.shape, torch.allclose(y[:, :, 0], v[:, :, 0], atol=1e-6)
        (torch.Size([2, 4, 300, 16]), True)
    """
    scale = q_BHTE.shape[-1] ** -0.5 if scale is None else scale
    if mask is not None and mask.dtype == torch.bool:
        hidden = ~mask
        mask = torch.zeros_like(hidden, dtype=q_BHTE.dtype).masked_fill_(hidden, -math.inf)
    y_BHTE: Tensor = _Products.apply(  # type: ignore[no-untyped-call]
        q_BHTE, k_BKSE, v_BKSE, mask, scale, causal, dropout
    )
    return y_BHTE


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q_BHTE: Tensor,
        k_BKSE: Tensor,
        v_BKSE: Tensor,
        mask: Tensor | None,
        scale: float,
        causal: bool,
        dropout: float,
    ) -> Tensor:
        rows, heads, time, width = q_BHTE.shape
        shared, keys = k_BKSE.shape[1:3]
        q_NGTE = q_BHTE.reshape(rows * shared, heads // shared, time, width)
        k_NSE, v_NSE = (x.reshape(rows * shared, keys, width) for x in (k_BKSE, v_BKSE))
        y_BTHE = q_BHTE.new_empty((rows, time, heads, width))
        ahead_QQ = _ahead(time, q_BHTE) if causal else None
        weights, masks, raise_by = [], [], 1 / (1 - dropout)
        for block, seen in _blocks(time, keys, causal):
            q_NQE = q_NGTE[:, :, block].flatten(1, 2)
            k_NEC = k_NSE[:, :seen].transpose(1, 2)
            w_NQC = _times(q_NQE, k_NEC, scale)
            w_BHQC = w_NQC.view(rows, heads, -1, seen)
            if ahead_QQ is not None:
                size = block.stop - block.start
                w_BHQC[..., block].add_(ahead_QQ[:size, :size])
            elif mask is not None:
                w_BHQC.add_(mask)
            torch.softmax(w_NQC, -1, out=w_NQC)
            weights.append(w_NQC)
            if dropout:
                masks.append(kept(w_NQC.shape, dropout, w_NQC.dtype))
                w_NQC = w_NQC * masks[-1]
            y_NQE = _times(w_NQC, v_NSE[:, :seen], raise_by)
            y_BTHE[:, block] = y_NQE.view(rows, heads, -1, width).transpose(1, 2)
        ctx.save_for_backward(q_NGTE, k_NSE, v_NSE, *weights, *masks)
        ctx.scale, ctx.causal, ctx.raise_by = scale, causal, raise_by
        return y_BTHE.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BHTE: Tensor) -> tuple[Tensor | None, ...]:
        q_NGTE, k_NSE, v_NSE, *kept_ones = ctx.saved_tensors
        rows, heads, time, width = dy_BHTE.shape
        dy_NGTE = dy_BHTE.reshape(q_NGTE.shape)
        dq_NGTE, dk_NSE, dv_NSE = (torch.empty_like(x) for x in (q_NGTE, k_NSE, v_NSE))
        blocks = list(_blocks(time, k_NSE.shape[1], ctx.causal))
        weights, masks = kept_ones[: len(blocks)], kept_ones[len(blocks) :]
        # The last block sees all keys: it writes what the others add to.
        beta = 0
        for place in reversed(range(len(blocks))):
            (block, seen), w_NQC = blocks[place], weights[place]
            q_NQE, dy_NQE = (x[:, :, block].flatten(1, 2) for x in (q_NGTE, dy_NGTE))
            used_NQC = w_NQC * masks[place] if masks else w_NQC
            dv_NSE[:, :seen].baddbmm_(
                used_NQC.transpose(1, 2), dy_NQE, beta=beta, alpha=ctx.raise_by
            )
            dw_NQC = _times(dy_NQE, v_NSE[:, :seen].transpose(1, 2), ctx.raise_by)
            if masks:
                dw_NQC *= masks[place]
            d_NQC = torch._softmax_backward_data(dw_NQC, w_NQC, -1, w_NQC.dtype)
            dq_NQE = _times(d_NQC, k_NSE[:, :seen], ctx.scale)
            dq_NGTE[:, :, block] = dq_NQE.view(dq_NGTE[:, :, block].shape)
            dk_NSE[:, :seen].baddbmm_(d_NQC.transpose(1, 2), q_NQE, beta=beta, alpha=ctx.scale)
            beta = 1
        dq_BHTE = dq_NGTE.view(rows, heads, time, width)
        dk_BKSE, dv_BKSE = (x.view(rows, -1, *x.shape[1:]) for x in (dk_NSE, dv_NSE))
        return dq_BHTE, dk_BKSE, dv_BKSE, None, None, None, None


def _times(left: Tensor, right: Tensor, factor: float) -> Tensor:
    """`factor * left @ right`, rounded once."""
    if factor == 1.0:
        return torch.bmm(left, right)
    return torch.baddbmm(left.new_empty(()), left, right, beta=0, alpha=factor)


def _blocks(time: int, keys: int, causal: bool) -> Iterator[tuple[slice, int]]:
    """Blocks of queries, and how many keys each looks at: all where not causal."""
    if not causal:
        yield slice(0, time), keys
        return
    for start in range(0, time, BLOCK):
        stop = min(start + BLOCK, time)
        yield slice(start, stop), stop


def _ahead(time: int, like: Tensor) -> Tensor:
    """What is added to the scores of a block with its own keys: `-inf` for later ones."""
    size = min(time, BLOCK)
    return torch.full((size, size), -math.inf, dtype=like.dtype, device=like.device).triu_(1)
