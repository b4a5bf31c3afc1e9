"""Ratios of sums, against a bootstrap and by how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.metrics.interval import mean, wilson
from luthier.metrics.ratio import ratio, share


def texts(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Losses of texts of very different lengths, whose tokens hang together."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 80, n)
    return lengths * (2 + 0.5 * generator.standard_normal(n) + 0.01 * lengths), lengths


def test_the_value_is_the_mean_over_tokens() -> None:
    nats, lengths = texts(50)
    assert ratio(nats, lengths).value == pytest.approx(nats.sum() / lengths.sum())
    assert ratio(nats, lengths).value != pytest.approx((nats / lengths).mean(), rel=1e-3)
    assert ratio(nats, lengths).n == 50


def test_of_equal_wholes_it_is_the_mean() -> None:
    values = np.random.default_rng(1).random(40)
    ours, theirs = ratio(3 * values, np.full(40, 3)), mean(values)
    assert ours.value == pytest.approx(theirs.value)
    assert ours.low == pytest.approx(theirs.low)


def test_the_interval_is_that_of_a_bootstrap() -> None:
    nats, lengths = texts(400)
    generator = np.random.default_rng(2)
    rows = generator.integers(0, 400, (4000, 400))
    draws = nats[rows].sum(1) / lengths[rows].sum(1)
    low, high = np.quantile(draws, (0.025, 0.975))
    found = ratio(nats, lengths)
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    nats, lengths = texts(200_000, seed=9)
    truth = nats.sum() / lengths.sum()
    held = []
    for draw in range(1000):
        found = ratio(nats[200 * draw : 200 * (draw + 1)], lengths[200 * draw : 200 * (draw + 1)])
        held.append(found.low <= truth <= found.high)
    assert 0.92 < np.mean(held) < 0.97


def test_bounds() -> None:
    found = ratio(np.array([0.0, 0.0, 9.0]), np.array([1, 1, 1]), floor=0.0, ceiling=3.5)
    assert (found.low, found.high) == (0.0, 3.5)


@pytest.mark.parametrize("wholes", [[4], [0, 4, 0], [0, 0]])
def test_a_lone_example_has_no_interval(wholes: list[int]) -> None:
    """Those that hold nothing tell nothing, too."""
    found = ratio(np.array(wholes) / 2, np.array(wholes))
    assert found.value == (0.5 if sum(wholes) else 0.0)
    assert found.interval is None
    assert ratio(np.array([2.0, 1.0]), np.array([4, 4])).interval is not None


def test_no_mistakes_is_not_certainty() -> None:
    lengths = np.array([3, 9, 1, 0])
    assert share(lengths, lengths).low == wilson(3, 3).low
    assert share(np.zeros(4), lengths).high == wilson(0, 3).high


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20))
def test_intervals_hold_their_values(pairs: list[tuple[int, int]]) -> None:
    right = np.array([min(pair) for pair in pairs])
    found = share(right, np.array([max(pair) for pair in pairs]))
    low, high = found.interval or (found.value, found.value)
    assert 0 <= low <= found.value <= high <= 1
