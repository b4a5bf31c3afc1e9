"""Another rate for samples that are in memory: what changes the speed of a sound.

Dimension key, for the whole file:
    T  samples      U  phases, which is the numerator of the ratio      R  cells of a filter
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

CROSSINGS = 6
"""Zero crossings of the filter on each side."""
ROLLOFF = 0.97
"""Where the filter ends, as a share of the lower rate's highest frequency."""


def resampled(wave_T: Tensor, up: int, down: int) -> Tensor:
    """The sound with `up / down` times as many samples: `(ceil(T * up / down),)`.

    Played at the old rate, it is as much slower. Band-limited interpolation with a sinc under a
    squared cosine.

    Args:
        wave_T: The samples.
        up: At least 1.
        down: At least 1.

    Source:
        Smith 2002, "Digital Audio Resampling", https://ccrma.stanford.edu/~jos/resample.

    Example:
        >>> resampled(torch.ones(1000), 10, 9).shape
        torch.Size([1112])
    """
    divisor = math.gcd(up, down)
    up, down = up // divisor, down // divisor
    if up == down:
        return wave_T
    wanted = -(-len(wave_T) * up // down)
    filters_UR, reach = _filters(up, down)
    padded = F.pad(wave_T, (reach, reach + down))
    phases = F.conv1d(padded[None, None], filters_UR[:, None].to(wave_T.dtype), stride=down)
    return phases[0].T.reshape(-1)[:wanted]


@functools.lru_cache(maxsize=32)
def _filters(up: int, down: int) -> tuple[Tensor, int]:
    """A filter for each place between two old samples where a new one lies, and its reach."""
    cutoff = ROLLOFF * min(1.0, up / down)
    reach = math.ceil(CROSSINGS / cutoff)
    cells_R = torch.arange(-reach, reach + down, dtype=torch.float64)
    places_U = torch.arange(up, dtype=torch.float64) * down / up
    distance_UR = (cells_R[None] - places_U[:, None]) * cutoff
    window_UR = torch.cos(distance_UR.clamp(-CROSSINGS, CROSSINGS) * math.pi / CROSSINGS / 2) ** 2
    return torch.sinc(distance_UR) * window_UR * cutoff, reach
