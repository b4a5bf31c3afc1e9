"""Whether a network that says 90 % is right nine times in ten.

Dimension key, for the whole file:
    N  examples     B  bins     C  cells: groups of examples of nearly one probability
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from luthier.metrics.interval import Metric, resampled, wilson

BINS = 15
"""As in Guo et al.; figures from other bin counts are not comparable."""
CELLS_A_BIN = 20
"""How finely the bootstrap tells the probabilities inside a bin apart."""
RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The examples whose predicted class was given a probability in `(low, high]`."""

    low: float
    high: float
    confidence: float
    """Their mean probability."""
    accuracy: Metric
    """The share of them that was right; its `n` is their number."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        bounds = {"low": self.low, "high": self.high, "confidence": self.confidence}
        return bounds | {"accuracy": self.accuracy.to_json()}


def reliability_bins(probability: np.ndarray, correct: np.ndarray) -> tuple[Bin, ...]:
    """The bins of a reliability diagram, from low to high; empty ones are left out.

    Args:
        probability: `(N,)` of the predicted class, 0 to 1.
        correct: `(N,)` bool: whether the prediction was right.
    """
    number = _bin_of(probability, BINS)
    bins = []
    for bin_number in np.unique(number):
        inside = number == bin_number
        bins.append(
            Bin(
                low=float(bin_number / BINS),
                high=float((bin_number + 1) / BINS),
                confidence=float(np.mean(probability[inside], dtype=np.float64)),
                accuracy=wilson(int(correct[inside].sum()), int(inside.sum())),
            )
        )
    return tuple(bins)


def calibration_error(probability: np.ndarray, correct: np.ndarray, *, seed: int = 0) -> Metric:
    """The expected calibration error: the mean over the bins of |accuracy - confidence|.

    Bins are weighed by their examples. On few examples the value is too high, since chance alone
    moves the bins' accuracies; the interval tells the spread, not this bias.

    Args:
        probability: `(N,)` of the predicted class, 0 to 1.
        correct: `(N,)` bool: whether the prediction was right.
        seed: Of the bootstrap.

    Source:
        Guo et al. 2017, section 2, equation 3, 1706.04599.
    """
    n = len(probability)
    assert n > 0, "a calibration of nothing"
    gap = correct.astype(np.float64) - probability.astype(np.float64)
    fine = _bin_of(probability, BINS * CELLS_A_BIN)
    cell, index = np.unique(fine * 2 + correct, return_inverse=True)
    counts_C = np.bincount(index)
    gap_C = np.bincount(index, weights=gap) / counts_C
    bin_C = cell // 2 // CELLS_A_BIN
    gap_CB = np.where(bin_C[:, None] == np.arange(BINS), gap_C[:, None], 0.0)
    draws_RC = np.random.default_rng(seed).multinomial(n, counts_C / n, size=RESAMPLES)
    value = np.abs(counts_C @ gap_CB).sum() / n
    draws = np.abs(draws_RC @ gap_CB).sum(1) / n
    return resampled(float(value), draws, n, floor=0.0, ceiling=1.0)


def _bin_of(probability: np.ndarray, bins: int) -> np.ndarray:
    """The number of the bin `(i / bins, (i + 1) / bins]` that each falls in; 0 is in the first."""
    numbers = np.ceil(probability.astype(np.float64) * bins).astype(np.int64) - 1
    return np.clip(numbers, 0, bins - 1)
