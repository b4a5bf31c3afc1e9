"""Two networks on the same examples: is one better, or is it luck?

That both saw the same examples is what gives the test its power; two intervals that overlap say
much less.

Dimension key, for the whole file:
    N  examples     R  resamples
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from luthier.metrics.interval import Z95, Metric, resampled

RESAMPLES = 2000
DRAWN_AT_ONCE = 2**22
"""Row numbers of one slice of the bootstrap: 32 MiB."""


@dataclass(frozen=True, kw_only=True)
class AccuracyTest:
    """Second against first, by which of the two is right on each example."""

    difference: Metric
    """Accuracy of the second minus that of the first, with its 95 % interval."""
    only_first: int
    """Examples that only the first got right."""
    only_second: int
    """Examples that only the second got right."""
    p_value: float
    """The chance of a split of those as uneven as this, or more, were both equally good."""


def accuracy_test(first: np.ndarray, second: np.ndarray) -> AccuracyTest:
    """The exact McNemar test, and the difference of the accuracies.

    Only examples that one of the two gets right decide. The p-value is two-sided and exact, so
    it holds for any number of them.

    Args:
        first: `(N,)` bool: whether the first was right on each example.
        second: The same for the second.

    Source:
        McNemar 1947, in its exact form: a binomial test of the discordant examples. The interval:
        Bonett and Price 2012, "Adjusted Wald Confidence Interval for a Difference of Binomial
        Proportions Based on Paired Data", one discordant example added to each side.

    Example:
        >>> first = np.array([True] * 36 + [True] * 2 + [False] * 12)
        >>> second = np.array([True] * 36 + [False] * 2 + [True] * 12)
        >>> test = accuracy_test(first, second)
        >>> test.only_first, test.only_second, round(test.p_value, 4)
        (2, 12, 0.0129)
    """
    assert first.shape == second.shape
    n = len(first)
    assert n > 0, "a test of nothing"
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    return AccuracyTest(
        difference=_difference(only_first, only_second, n),
        only_first=only_first,
        only_second=only_second,
        p_value=_two_sided(only_first, only_second),
    )


def mean_difference(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> Metric:
    """The mean of `second - first` over the examples, with a paired bootstrap's interval.

    Args:
        first: `(N,)` a score of each example, such as its loss.
        second: The same score by the second, of the same examples in the same order.
        seed: Of the bootstrap: the same one, the same interval.

    Cost:
        `RESAMPLES * N` random rows, in slices of 32 MiB.
    """
    assert first.shape == second.shape
    n = len(first)
    assert n > 0, "a difference of nothing"
    change = second.astype(np.float64) - first.astype(np.float64)
    generator = np.random.default_rng(seed)
    slice_rows = max(1, DRAWN_AT_ONCE // n)
    draws = [
        change[generator.integers(0, n, size=(min(slice_rows, RESAMPLES - start), n))].mean(1)
        for start in range(0, RESAMPLES, slice_rows)
    ]
    return resampled(float(change.mean()), np.concatenate(draws), n)


def _two_sided(only_first: int, only_second: int) -> float:
    """Twice the lesser tail of a fair coin tossed as often as there are discordant examples."""
    n, least = only_first + only_second, min(only_first, only_second)
    tail = term = 1
    for k in range(least):
        term = term * (n - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << n))


def _difference(only_first: int, only_second: int, n: int) -> Metric:
    value = (only_second - only_first) / n
    more, less = (only_second + 1) / (n + 2), (only_first + 1) / (n + 2)
    half = Z95 * math.sqrt((more + less - (more - less) ** 2) / (n + 2))
    low, high = more - less - half, more - less + half
    return Metric(value=value, low=max(low, -1.0), high=min(high, 1.0), n=n)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p-values of several tests, adjusted for their number.

    The chance that any of the tests calls luck a difference stays what one test's would be.

    Source:
        Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".

    Example:
        >>> holm([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)
    """
    adjusted = [0.0] * len(p_values)
    least = 0.0
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    for rank, position in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = least
    return tuple(adjusted)
