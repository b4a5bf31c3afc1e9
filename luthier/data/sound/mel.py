"""Mel filters: bands of frequencies, narrow for low ones and wide for high ones, as people hear.

Dimension key, for the whole file:
    M  filters      K  frequencies of a Fourier transform
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from luthier.errors import DataError

Filters = NDArray[np.float64]

_LINEAR_HZ = 200 / 3
"""Slaney's scale is linear up to 1000 Hz, with so many Hz in a mel …"""
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27
"""… and logarithmic above."""


@functools.lru_cache(maxsize=16)
def whisper_filters(bins: int, rate: int, size: int) -> Filters:
    """Slaney's filters, each with an area of 2 / bandwidth: `(M, K)`.

    Those that Whisper was published with, and the default of librosa.

    Args:
        bins: M.
        rate: Samples a second.
        size: Samples of a Fourier transform; K is `size // 2 + 1`.

    Raises:
        DataError: If there are so many that one of them would hold no frequency.

    Source:
        Slaney 1998, "Auditory Toolbox: version 2", Interval Technical Report 1998-010.
    """
    frequencies_K = np.arange(size // 2 + 1) * rate / size
    edges = _slaney_hz(np.linspace(0.0, _slaney_mel(rate / 2), bins + 2))
    filters_MK = _triangles(edges, frequencies_K)
    filters_MK *= (2 / (edges[2:] - edges[:-2]))[:, None]
    return _checked(filters_MK, rate)


@functools.lru_cache(maxsize=16)
def kaldi_filters(bins: int, rate: int, size: int, low_hz: float = 20.0) -> Filters:
    """Kaldi's filters: triangles on the mel axis, each with a peak of 1: `(M, K)`.

    Args:
        bins: M.
        rate: Samples a second.
        size: Samples of a Fourier transform, a power of two.
        low_hz: Where the first filter begins; the last ends at half of the rate.

    Raises:
        DataError: If there are so many that one of them would hold no frequency.

    Source:
        Kaldi, feat/mel-computations.cc; the scale is that of Young et al., "The HTK Book",
        section 5.4: `1127 ln(1 + f / 700)`. The highest frequency belongs to no filter.
    """
    edges = np.linspace(_htk_mel(low_hz), _htk_mel(rate / 2), bins + 2)
    filters_MK = _triangles(edges, _htk_mel(np.arange(size // 2 + 1) * rate / size))
    filters_MK[:, -1] = 0.0
    return _checked(filters_MK, rate)


def _triangles(edges: NDArray[np.float64], places_K: NDArray[np.float64]) -> Filters:
    """Filters that rise from an edge to the next, and fall to the one after it."""
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (places_K - low) / (peak - low)
    falling = (high - places_K) / (high - peak)
    filters: Filters = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def _checked(filters_MK: Filters, rate: int) -> Filters:
    empty = int((~filters_MK.any(1)).sum())
    if empty:
        bins = len(filters_MK)
        raise DataError(
            f"data.features.bins: got {bins}, but at {rate:,} samples a second {empty} of them "
            f"would hold no frequency; wanted fewer, such as {max(bins // 2, 1)}"
        )
    filters_MK.setflags(write=False)
    return filters_MK


def _slaney_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above)


def _htk_mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, dtype=np.float64) / 700.0))
