"""Intervals: against published tables and other programs, and what must hold for any input."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from luthier.metrics.interval import Z95, Metric, mean, resampled, wilson


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    table = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0000, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, n), (low, high) in table.items():
        share = wilson(successes, n)
        assert (round(share.low, 4), round(share.high, 4)) == (low, high)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_and_holds_its_value(case: tuple[int, int]) -> None:
    successes, n = case
    share = wilson(successes, n)
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert share.low < share.high
    theirs = binomtest(successes, n).proportion_ci(method="wilson")
    assert math.isclose(share.low, theirs.low, abs_tol=1e-12)
    assert math.isclose(share.high, theirs.high, abs_tol=1e-12)


def textbook(successes: int, n: int) -> Metric:
    """The broken twin: value ± 1.96 standard errors."""
    share = successes / n
    half = Z95 * math.sqrt(share * (1 - share) / n)
    return Metric(value=share, low=share - half, high=share + half, n=n)


def coverage(interval: Callable[[int, int], Metric], share: float, n: int) -> float:
    """How often the interval holds the true share, summed over all outcomes."""
    total = 0.0
    for successes in range(n + 1):
        found = interval(successes, n)
        if found.low <= share <= found.high:
            total += float(binom.pmf(successes, n, share))
    return total


def test_wilson_covers_near_one_where_the_textbook_does_not() -> None:
    assert np.mean([coverage(wilson, share, 100) for share in np.linspace(0.9, 0.995, 20)]) > 0.94
    assert np.mean([coverage(textbook, share, 100) for share in np.linspace(0.9, 0.995, 20)]) < 0.90


def test_a_share_of_nothing_is_no_share() -> None:
    with pytest.raises(AssertionError, match="a share of nothing"):
        wilson(0, 0)
    with pytest.raises(AssertionError, match="3 of 2"):
        wilson(3, 2)


def test_mean_covers() -> None:
    generator = np.random.default_rng(0)
    held = [
        (found := mean(generator.exponential(size=400), floor=0.0)).low <= 1.0 <= found.high
        for _ in range(1000)
    ]
    assert 0.93 < np.mean(held) < 0.97


def test_mean_by_hand() -> None:
    found = mean(np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.value == 2.5
    assert math.isclose(found.high - 2.5, Z95 * math.sqrt(5 / 3 / 4))
    assert mean(np.array([0.0, 9.0]), floor=0.0).low == 0.0


def test_a_lone_example_has_no_interval() -> None:
    """One of no width would be certainty."""
    for found in (mean(np.array([7.0])), resampled(7.0, np.full(9, 7.0), 1)):
        assert found == Metric(value=7.0, low=None, high=None, n=1)
        assert found.interval is None
        assert found.interval_text() == "no interval"
        assert Metric(**json.loads(json.dumps(found.to_json()))) == found
    assert wilson(1, 1).interval is not None


def test_a_rising_function_maps_the_bounds() -> None:
    assert wilson(3, 4).mapped(math.exp).interval == tuple(map(math.exp, wilson(3, 4).interval))
    assert mean(np.array([2.0])).mapped(math.exp) == mean(np.array([math.exp(2.0)]))


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=50),
    st.floats(0, 1),
)
def test_resampled_holds_its_value_and_its_bounds(draws: list[float], value: float) -> None:
    found = resampled(value, np.array(draws), 9, floor=0.0, ceiling=1.0)
    assert 0 <= found.low <= value <= found.high <= 1


def test_resampled_moves_the_draws_onto_the_value() -> None:
    draws = np.linspace(0.0, 1.0, 1001)
    found = resampled(0.7, draws, 9)
    assert math.isclose(found.low, 0.7 - 0.475)
    assert math.isclose(found.high, 0.7 + 0.475)


def test_metric_as_json() -> None:
    assert wilson(1, 2).to_json().keys() == {"value", "low", "high", "n"}
