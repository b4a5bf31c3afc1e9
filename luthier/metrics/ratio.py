"""The ratio of two sums over examples: a mean over what the examples hold.

Dimension key, for the whole file:
    N  examples
"""

from __future__ import annotations

import math

import numpy as np

from luthier.metrics.interval import Z95, Metric, wilson


def ratio(
    parts: np.ndarray, wholes: np.ndarray, *, floor: float = -math.inf, ceiling: float = math.inf
) -> Metric:
    """`sum(parts) / sum(wholes)`, with ± 1.96 standard errors around it.

    Examples are what was drawn at random, not what they hold: the tokens of a text hang together,
    so that an interval from the number of tokens would be far too narrow. One from the number of
    examples is still too narrow where these hang together too, as the rows that a long document
    is cut into do: of few documents, it says how the value varies between rows, and not between
    documents. A lone example that holds something says nothing of the spread: it has no interval.
    Of nothing, the ratio is 0.

    Args:
        parts: `(N,)`, such as the loss summed over the tokens of each row.
        wholes: `(N,)`, such as the tokens of each row.
        floor: A bound that the ratio cannot be below.
        ceiling: A bound that it cannot be above.

    Source:
        Cochran 1977, "Sampling Techniques", section 6.4: the linearised variance of a ratio.

    Example:
        >>> ratio(np.array([3.0, 1.0, 4.0]), np.array([2, 1, 2])).value
        1.6
    """
    n = len(parts)
    assert n > 0, "a ratio of nothing"
    parts, wholes = parts.astype(np.float64), wholes.astype(np.float64)
    whole = float(wholes.sum())
    value = float(parts.sum()) / whole if whole else 0.0
    if np.count_nonzero(wholes) < 2:
        return Metric(value=value, low=None, high=None, n=n)
    rest = parts - value * wholes
    half = Z95 * math.sqrt(float(rest @ rest) * n / (n - 1)) / whole
    return Metric(value=value, low=max(value - half, floor), high=min(value + half, ceiling), n=n)


def share(successes: np.ndarray, trials: np.ndarray) -> Metric:
    """`ratio` where the parts are counts within the wholes: right tokens of all tokens.

    Where all or none of them succeed, the spread is no guide; there it takes Wilson's interval,
    as if each example were a single trial.
    """
    found = ratio(successes, trials, floor=0.0, ceiling=1.0)
    if found.value not in (0.0, 1.0):
        return found
    n = max(int((trials > 0).sum()), 1)
    bounds = wilson(n if found.value else 0, n)
    return Metric(value=found.value, low=bounds.low, high=bounds.high, n=found.n)
