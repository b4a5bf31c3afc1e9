"""Paired tests: against scipy, by simulation, and with twins that ignore the pairing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from luthier.metrics.interval import Z95
from luthier.metrics.paired import AccuracyTest, accuracy_test, holm, mean_difference


def table(both: int, only_first: int, only_second: int, neither: int) -> AccuracyTest:
    """The test of a two by two table."""
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return accuracy_test(first, second)


counts = st.integers(0, 300)


@given(counts, counts, counts, counts)
def test_mcnemar_is_the_binomial_test(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    test = table(a, b, c, d)
    expected = binomtest(b, b + c).pvalue if b + c else 1.0
    assert test.p_value == pytest.approx(expected, rel=1e-9)
    assert (test.only_first, test.only_second) == (b, c)
    difference = test.difference
    assert -1 <= difference.low <= difference.value <= difference.high <= 1
    assert difference.value == pytest.approx((c - b) / (a + b + c + d))


@given(counts, counts, counts, counts)
def test_turned_round_it_says_the_same(a: int, b: int, c: int, d: int) -> None:
    if a + b + c + d == 0:
        return
    one, other = table(a, b, c, d), table(a, c, b, d)
    assert one.p_value == other.p_value
    assert one.difference.low == pytest.approx(-other.difference.high)


def test_thousands_of_discordant_examples() -> None:
    test = table(0, 20100, 19800, 0)
    assert test.p_value == pytest.approx(binomtest(19800, 39900).pvalue, rel=1e-6)


def test_the_interval_is_bonett_and_prices() -> None:
    # 36 both, 2 only the first, 12 only the second, of 50: (13 - 3) / 52 ± 1.96 * 0.07215.
    difference = table(36, 2, 12, 0).difference
    assert (round(difference.low, 4), round(difference.high, 4)) == (0.0509, 0.3337)


def holds(difference: float, low: float, high: float) -> bool:
    return low <= difference <= high


def test_the_interval_covers_where_the_textbook_does_not() -> None:
    """Two good networks on 200 examples: few discordant ones, where the twin is too narrow."""
    generator = np.random.default_rng(0)
    chances = np.array([0.965, 0.005, 0.02, 0.01])
    ours, twins = [], []
    for both, b, c, neither in generator.multinomial(200, chances, size=2000):
        found = table(both, b, c, neither).difference
        ours.append(holds(0.015, found.low, found.high))
        half = Z95 * np.sqrt((b + c) / 200 - ((c - b) / 200) ** 2) / np.sqrt(200)
        twins.append(holds(0.015, found.value - half, found.value + half))
    assert np.mean(ours) > 0.945
    assert np.mean(twins) < 0.93


def test_no_disagreement_is_no_difference_but_not_certainty() -> None:
    test = table(100, 0, 0, 3)
    assert test.p_value == 1.0
    assert test.difference.low < 0 < test.difference.high


def losses(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    hard = generator.exponential(size=n)
    return hard, hard * 0.9 + generator.normal(scale=0.05, size=n)


def test_mean_difference_against_scipy() -> None:
    first, second = losses()
    theirs = bootstrap((second - first,), np.mean, method="percentile", rng=1)
    found = mean_difference(first, second)
    assert found.value == pytest.approx((second - first).mean())
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=2e-3)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=2e-3)


def test_pairing_is_what_finds_the_difference() -> None:
    first, second = losses()
    assert mean_difference(first, second).high < 0
    shuffled = np.random.default_rng(0).permutation(second)  # the twin: pairs torn apart
    assert mean_difference(first, shuffled).high > 0


def test_mean_difference_is_seeded_and_sliced() -> None:
    first, second = losses()
    assert mean_difference(first, second, seed=1) == mean_difference(first, second, seed=1)
    assert mean_difference(first, second, seed=1) != mean_difference(first, second, seed=2)
    many = np.tile(first, 50)  # more than one slice
    found = mean_difference(many, many + 1.0)
    assert found.low == found.high == pytest.approx(1.0)


def test_holm() -> None:
    assert holm([]) == ()
    assert holm([0.2]) == (0.2,)
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx((0.03, 0.04, 0.04, 0.02))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
