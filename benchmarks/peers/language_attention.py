"""Causal attention by explicit products, with a backward by hand: for short contexts on a CPU.

Queries go in blocks, each against the keys up to its own end, so that of the upper triangle
only the blocks on the diagonal are computed. The weights are kept for the backward: at 256
tokens they are small, and making them anew costs more than reading them.

Dimension key:
    B  batch    H  heads    T  tokens    K  head width    Q  queries of a block    E  keys up to it
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

BLOCK_TOKENS = 128


class _Explicit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor) -> Tensor:
        scale = q_BHTK.shape[-1] ** -0.5
        outputs, weights = [], []
        for start in range(0, q_BHTK.shape[2], BLOCK_TOKENS):
            q_BHQK = q_BHTK[:, :, start : start + BLOCK_TOKENS]
            end = start + q_BHQK.shape[2]
            scores_BHQE = (q_BHQK @ k_BHTK[:, :, :end].transpose(-2, -1)) * scale
            ahead_QE = torch.ones(end - start, end, dtype=torch.bool).triu(start + 1)
            scores_BHQE = scores_BHQE.masked_fill(ahead_QE, float("-inf"))
            # In float32 for bfloat16 scores, and in float64 for float64.
            wide = torch.promote_types(scores_BHQE.dtype, torch.float32)
            weights_BHQE = scores_BHQE.softmax(-1, dtype=wide).to(q_BHTK.dtype)
            outputs.append(weights_BHQE @ v_BHTK[:, :, :end])
            weights.append(weights_BHQE)
        ctx.save_for_backward(q_BHTK, k_BHTK, v_BHTK, *weights)
        return torch.cat(outputs, dim=2)

    @staticmethod
    def backward(ctx: FunctionCtx, grad_BHTK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q_BHTK, k_BHTK, v_BHTK, *weights = ctx.saved_tensors
        scale = q_BHTK.shape[-1] ** -0.5
        dk_BHTK, dv_BHTK = torch.zeros_like(k_BHTK), torch.zeros_like(v_BHTK)
        parts = []
        for at, weights_BHQE in enumerate(weights):
            start, end = at * BLOCK_TOKENS, weights_BHQE.shape[-1]
            do_BHQK, q_BHQK = grad_BHTK[:, :, start:end], q_BHTK[:, :, start:end]
            dv_BHTK[:, :, :end] += weights_BHQE.transpose(-2, -1) @ do_BHQK
            dw_BHQE = do_BHQK @ v_BHTK[:, :, :end].transpose(-2, -1)
            mean_BHQ1 = (dw_BHQE * weights_BHQE).sum(-1, keepdim=True)
            ds_BHQE = weights_BHQE * (dw_BHQE - mean_BHQ1) * scale
            parts.append(ds_BHQE @ k_BHTK[:, :, :end])
            dk_BHTK[:, :, :end] += ds_BHQE.transpose(-2, -1) @ q_BHQK
        return torch.cat(parts, dim=2), dk_BHTK, dv_BHTK


def attend(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor) -> Tensor:
    """The same function as PyTorch's, of the same arguments."""
    return _Explicit.apply(q_BHTK, k_BHTK, v_BHTK)
