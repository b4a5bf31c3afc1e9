"""Values left out at random, with random bits that a CPU makes quickly.

On a CPU torch draws one value after the other, in one thread, at six nanoseconds each: in a BERT
with the usual dropout that was a quarter of all training. Numpy's generator makes the bits of
four values in half of one's time.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STEPS = 2**16
"""The probability to be left out is a multiple of one by this."""


class Dropout(nn.Dropout):
    """Single values set to zero while training, the others raised to keep the mean."""

    def forward(self, x: Tensor) -> Tensor:
        """`x`, where it is kept."""
        return dropped(x, self.p) if self.training else x


def dropped(x: Tensor, rate: float) -> Tensor:
    """`x / (1 - rate)` where it is kept, else zero.

    Args:
        x: Any tensor.
        rate: The probability of each value to be left out.

    Source:
        Srivastava et al. 2014, JMLR 15.
    """
    if not rate:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, rate)
    return (x * kept(x.shape, rate, x.dtype)) * (1 / (1 - rate))


def kept(shape: torch.Size, rate: float, dtype: torch.dtype) -> Tensor:
    """One with the probability `1 - rate`, else zero, on the CPU; the seed is torch's next number.

    Source:
        Doty-Humphrey, PractRand's sfc64, as numpy has it.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    count = shape.numel()
    drawn = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.int16)[:count]
    is_kept = drawn >= round(rate * _STEPS) - _STEPS // 2
    return torch.from_numpy(is_kept.view(np.uint8)).view(shape).to(dtype)
