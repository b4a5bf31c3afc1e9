"""A linear recurrence, computed for all positions at once.

Dimension key, for the whole file:
    B  rows      T  positions      D  width
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SHORT = 4
"""Positions up to which one after the other is faster than halving once more."""
WIDE = 2**14
"""Values of a position, in all rows, from which on a CPU is faster one after the other: each step
is then long enough, and reads what the one before it left in the cache. Measured on one core."""


def linear_scan(decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
    """`h_t = decay_t * h_(t-1) + added_t`, from `h_(-1) = 0`, at all positions.

    Pairs of neighbours are joined, `(a, x) then (b, y)` is `(a b, b x + y)`, which leaves half as
    many positions; their states give those in between. So the depth is logarithmic and the work
    linear. Factors are multiplied and never divided by, so that what fades becomes zero, and
    nothing overflows.

    Args:
        decay_BTD: Between 0 and 1; 0 where a document begins.
        added_BTD: Of the same shape and type.

    Returns:
        `(B, T, D)`.

    Cost:
        About `6 * B * T * D` operations forward, twice as many backward, which is a scan too.
        Kept for the backward pass: the decay and the result.

    Source:
        Blelloch 1990, "Prefix sums and their applications", section 1.4.1; Martin and Cundy 2018,
        1709.04057, who have the backward pass.

    Example:
        >>> linear_scan(torch.full((1, 4, 1), 0.5), torch.ones(1, 4, 1)).flatten().tolist()
        [1.0, 1.5, 1.75, 1.875]
    """
    h_BTD: Tensor = _LinearScan.apply(decay_BTD, added_BTD)  # type: ignore[no-untyped-call]
    return h_BTD


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
        h_BTD = _scan(decay_BTD, added_BTD)
        ctx.save_for_backward(decay_BTD, h_BTD)
        return h_BTD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        decay_BTD, h_BTD = ctx.saved_tensors
        # What reaches h_t is its own gradient, and decay_(t+1) of what reaches h_(t+1).
        backwards_BTD = torch.zeros_like(decay_BTD)
        backwards_BTD[:, 1:] = decay_BTD[:, 1:].flip(1)
        reached_BTD = _scan(backwards_BTD, gradients[0].flip(1)).flip(1)
        of_decay_BTD = torch.zeros_like(h_BTD)
        of_decay_BTD[:, 1:] = reached_BTD[:, 1:] * h_BTD[:, :-1]
        return of_decay_BTD, reached_BTD


def _scan(decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
    rows, time, width = added_BTD.shape
    if time <= SHORT or (rows * width >= WIDE and added_BTD.device.type == "cpu"):
        return _one_by_one(decay_BTD, added_BTD)
    even = time - time % 2
    second = decay_BTD[:, 1::2]
    odd = _scan(
        decay_BTD[:, :even:2] * second,
        torch.addcmul(added_BTD[:, 1::2], second, added_BTD[:, :even:2]),
    )
    h_BTD = torch.empty_like(added_BTD)
    h_BTD[:, 0] = added_BTD[:, 0]
    h_BTD[:, 1::2] = odd
    later = decay_BTD[:, 2::2]
    h_BTD[:, 2::2] = torch.addcmul(added_BTD[:, 2::2], later, odd[:, : later.shape[1]])
    return h_BTD


def _one_by_one(decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
    h_BTD = torch.empty_like(added_BTD)
    h_BTD[:, 0] = added_BTD[:, 0]
    for t in range(1, added_BTD.shape[1]):
        h_BTD[:, t] = torch.addcmul(added_BTD[:, t], decay_BTD[:, t], h_BTD[:, t - 1])
    return h_BTD
