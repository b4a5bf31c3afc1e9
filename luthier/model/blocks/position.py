"""Positions as numbers added to the scores of an attention: one for each distance.

Dimension key, for the whole file:
    H  heads      R  distances, `2 * reach - 1` of them, from `1 - reach` to `reach - 1`
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Alibi(nn.Module):
    """`-slope * |distance|`, with another slope for each head; no weights.

    Args:
        heads: H. The slopes are `2^(-8 n / H)`, n from 1, where H is a power of two. Else they
            are those of the next smaller one, and every other one of the next larger.

    Source:
        Press et al. 2021, 2108.12409; the slopes for other numbers of heads as in the authors'
        code.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.slopes = _slopes(heads)

    def forward(self, reach: int, device: torch.device) -> Tensor:
        """For each distance of a key from its query: `(H, 2 * reach - 1)`."""
        distances_R = torch.arange(1 - reach, reach, device=device).abs()
        return -torch.tensor(self.slopes, device=device)[:, None] * distances_R


def _slopes(heads: int) -> tuple[float, ...]:
    power = 2 ** int(math.log2(heads))
    slopes = [2.0 ** (-8 * n / power) for n in range(1, power + 1)]
    between = [2.0 ** (-4 * n / power) for n in range(1, 2 * power + 1, 2)]
    return (*slopes, *between[: heads - power])


class Relative(nn.Module):
    """A learned number for each head and each bucket of distances.

    Near distances have a bucket of their own; far ones share wider and wider ones.

    Args:
        heads: H.
        buckets: Of them, half for each direction where not causal.
        reach: All distances from here on share the last bucket.
        causal: Whether keys are never later than their query.

    Cost:
        Parameters: `heads * buckets`.

    Source:
        Raffel et al. 2020 (T5), section 2.1, 1910.10683. There all layers share the first one's
        numbers; here each has its own.
    """

    def __init__(self, heads: int, buckets: int, reach: int, *, causal: bool) -> None:
        super().__init__()
        self.buckets = buckets
        self.reach = reach
        self.causal = causal
        self.table = nn.Embedding(buckets, heads)

    def forward(self, reach: int, device: torch.device) -> Tensor:
        """For each distance of a key from its query: `(H, 2 * reach - 1)`."""
        distances_R = torch.arange(1 - reach, reach, device=device)
        numbers: Tensor = self.table(self.bucket(distances_R))
        return numbers.T

    def bucket(self, distances_R: Tensor) -> Tensor:
        """The bucket of each distance. int64."""
        side = self.buckets if self.causal else self.buckets // 2
        far_R = -distances_R.clamp(max=0) if self.causal else distances_R.abs()
        single = side // 2
        share = (far_R.float() / single).clamp(min=1).log() / math.log(self.reach / single)
        shared = (single + (share * (side - single)).long()).clamp(max=side - 1)
        bucket = torch.where(far_R < single, far_R, shared)
        return bucket if self.causal else bucket + side * (distances_R > 0)
