"""Attention of one query in each row on a CPU: what writing a text does at every token.

Torch's kernel reads float32 keys and values 3 to 5 times as fast as those in bfloat16, which it
turns into float32 bit by bit: one row of 8 heads with 96 keys takes 17 instead of 58
microseconds, 8 rows 0.23 instead of 0.6 to 1.5 milliseconds (two cores with avx512_bf16). So they
are remembered in float32, and the kernel is called by its own name, since autocast would turn
them back.

Dimension key, for the whole file:
    B  rows      K  heads      G  queries of a head, which see the same keys      S  keys
    E  width of a head
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_KERNEL = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default


def remembered_type(like: Tensor) -> torch.dtype:
    """The type in which keys and values such as `like` are remembered."""
    return torch.float32 if like.is_cpu and like.dtype.itemsize < 4 else like.dtype


def suits(q_BKGE: Tensor, k_BKSE: Tensor, dropout: float) -> bool:
    """Whether `attend_one` can do it: on a CPU, with no gradient wanted."""
    return (
        q_BKGE.is_cpu
        and not dropout
        and not torch.is_grad_enabled()
        and q_BKGE.dtype == k_BKSE.dtype
        and not torch.compiler.is_compiling()
    )


def attend_one(
    q_BKGE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, mask: Tensor | None, scale: float | None
) -> Tensor:
    """`softmax(scale q k^T + mask) v`, in the type of the keys whatever autocast is set to.

    Args:
        q_BKGE: Queries.
        k_BKSE: Keys.
        v_BKSE: Values.
        mask: Added to the scores or, where it is bool, true for those that count. `(1 or B,
            1 or K, 1 or G, S)`.
        scale: None means `1 / sqrt(E)`.

    Returns:
        `(B, K, G, E)`.

    Example:
        >>> q, k, v = torch.randn(2, 4, 1, 16), torch.randn(2, 4, 9, 16), torch.randn(2, 4, 9, 16)
        >>> with torch.no_grad():
        ...     attend_one(q, k, v, None, None).shape
        torch.Size([2, 4, 1, 16])
    """
    if mask is not None:
        if mask.dtype == torch.bool:
            added = torch.zeros_like(mask, dtype=q_BKGE.dtype)
            mask = added.masked_fill_(~mask, -math.inf)
        mask = mask.expand(*q_BKGE.shape[:3], k_BKSE.shape[2])
    y_BKGE: Tensor = _KERNEL(q_BKGE, k_BKSE, v_BKSE, 0.0, False, attn_mask=mask, scale=scale)[0]
    return y_BKGE
