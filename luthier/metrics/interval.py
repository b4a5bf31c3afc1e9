"""A measured value with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Z95 = 1.959963984540054
"""Standard deviations on each side of a normal mean that hold 95 % of it."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A value measured on a finite sample, and the 95 % confidence interval around it."""

    value: float
    low: float | None
    """None, as `high` is, where nothing is known of the spread: of a lone example."""
    high: float | None
    n: int
    """Examples that the value was measured on."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """From low to high; none where it is not known."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def mapped(self, rising: Callable[[float], float]) -> Metric:
        """A rising function of it: its bounds are those of what it is a function of."""
        low, high = (None, None) if self.interval is None else map(rising, self.interval)
        return Metric(value=rising(self.value), low=low, high=high, n=self.n)

    def interval_text(self) -> str:
        """`0.9521 to 0.9943`, or `no interval`."""
        if self.interval is None:
            return "no interval"
        low, high = self.interval
        return f"{low:.4f} to {high:.4f}"

    def to_json(self) -> dict[str, float | int | None]:
        """As `evaluate --json` prints it; `low` and `high` are null where they are not known."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def wilson(successes: int, n: int) -> Metric:
    """The share `successes / n` with Wilson's score interval.

    Unlike the textbook value ± 1.96 standard errors, it stays inside [0, 1], is never empty,
    and holds its 95 % for shares near 0 and 1.

    Source:
        Wilson 1927; Brown, Cai and DasGupta 2001, "Interval Estimation for a Binomial
        Proportion", equation 4. No continuity correction.

    Example:
        >>> share = wilson(353, 360)
        >>> f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"
        '0.981 (0.960 to 0.991)'
    """
    assert 0 <= successes <= n, f"{successes} of {n}"
    assert n > 0, "a share of nothing"
    share = successes / n
    shrink = 1 + Z95**2 / n
    centre = (share + Z95**2 / (2 * n)) / shrink
    half = Z95 / shrink * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    # Rounding would put a share of exactly 0 or 1 a hair outside.
    low, high = min(centre - half, share), max(centre + half, share)
    return Metric(value=share, low=max(low, 0.0), high=min(high, 1.0), n=n)


def mean(values: np.ndarray, *, floor: float = -math.inf) -> Metric:
    """The mean of `values`, with ± 1.96 standard errors around it.

    A lone value says nothing of its spread: it has no interval.

    Args:
        values: `(N,)`.
        floor: A bound that the mean cannot be below, such as 0 for a loss.
    """
    n = len(values)
    assert n > 0, "a mean of nothing"
    value = float(np.mean(values, dtype=np.float64))
    if n == 1:
        return Metric(value=value, low=None, high=None, n=n)
    half = Z95 * float(np.std(values, ddof=1, dtype=np.float64)) / math.sqrt(n)
    return Metric(value=value, low=max(value - half, floor), high=value + half, n=n)


def resampled(
    value: float,
    draws: np.ndarray,
    n: int,
    *,
    floor: float = -math.inf,
    ceiling: float = math.inf,
) -> Metric:
    """`value` with the 95 % interval of a bootstrap, shifted by the bootstrap's own bias.

    The resamples of a biased statistic, such as a calibration error, lie around another centre
    than the value; their spread still tells how much the value would vary. All resamples of a
    lone example are alike, so that it has no interval.

    Args:
        value: The statistic of the sample.
        draws: `(R,)`, the statistic of each resample.
        n: Examples in the sample.
        floor: The least value that the statistic can have.
        ceiling: The greatest.

    Source:
        Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentiles),
        with the mean of the draws moved onto the value.
    """
    if n == 1:
        return Metric(value=value, low=None, high=None, n=n)
    low, high = np.quantile(draws, (0.025, 0.975)) + (value - np.mean(draws))
    # The mean of very skew draws can lie outside of their own percentiles.
    low, high = min(float(low), value), max(float(high), value)
    return Metric(value=value, low=max(low, floor), high=min(high, ceiling), n=n)
