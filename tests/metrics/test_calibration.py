"""Calibration: by hand, against a slow second way, and what must hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.metrics.calibration import BINS, calibration_error, reliability_bins

Pairs = tuple[np.ndarray, np.ndarray]


def examples(n: int, *, sure: float = 0.0, seed: int = 0) -> Pairs:
    """Examples of a network that is calibrated; or too sure of itself, by `sure`."""
    generator = np.random.default_rng(seed)
    probability = generator.uniform(0.3, 1.0, n)
    return probability, generator.random(n) < probability - sure


def one_by_one(probability: np.ndarray, correct: np.ndarray) -> float:
    """The error as the paper writes it, bin by bin."""
    total = 0.0
    for low in np.arange(BINS) / BINS:
        inside = (probability > low) & (probability <= low + 1 / BINS)
        if inside.any():
            gap = correct[inside].mean() - probability[inside].mean()
            total += inside.mean() * abs(gap)
    return total


def test_against_the_slow_way() -> None:
    pairs = examples(3000, sure=0.1)
    assert calibration_error(*pairs).value == pytest.approx(one_by_one(*pairs), abs=1e-12)


def test_by_hand() -> None:
    probability = np.array([0.9, 0.9, 0.9, 0.9, 0.4, 0.4])
    correct = np.array([True, True, True, False, False, True])
    # |0.75 - 0.9| * 4/6 + |0.5 - 0.4| * 2/6
    assert calibration_error(probability, correct).value == pytest.approx(0.8 / 6)


def test_calibrated_is_near_zero_and_too_sure_is_not() -> None:
    assert calibration_error(*examples(20000)).value < 0.02
    too_sure = calibration_error(*examples(20000, sure=0.2))
    assert too_sure.low < 0.2 < too_sure.high


def test_the_interval_is_as_wide_as_the_error_varies() -> None:
    values = [calibration_error(*examples(500, sure=0.2, seed=seed)).value for seed in range(300)]
    low, high = np.quantile(values, (0.025, 0.975))
    found = calibration_error(*examples(500, sure=0.2, seed=999))
    assert found.high - found.low == pytest.approx(high - low, rel=0.2)


def test_bins() -> None:
    probability = np.array([0.0, 1 / BINS, 0.5, 1.0, 1.0])
    bins = reliability_bins(probability, np.array([False, False, True, True, False]))
    assert [found.accuracy.n for found in bins] == [2, 1, 2]
    assert bins[0].low == 0.0
    assert bins[-1].high == 1.0
    assert bins[-1].accuracy.value == 0.5
    assert bins[-1].to_json()["confidence"] == 1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_any_input(pairs: list[tuple[float, bool]]) -> None:
    probability = np.array([pair[0] for pair in pairs])
    correct = np.array([pair[1] for pair in pairs])
    found = calibration_error(probability, correct)
    low, high = found.interval or (found.value, found.value)
    assert 0 <= low <= found.value <= high <= 1
    bins = reliability_bins(probability, correct)
    assert sum(one.accuracy.n for one in bins) == len(pairs)
    for one in bins:
        assert one.low - 1e-9 <= one.confidence <= one.high + 1e-9


def test_the_bootstrap_is_seeded() -> None:
    pairs = examples(200)
    assert calibration_error(*pairs, seed=1) == calibration_error(*pairs, seed=1)
    assert calibration_error(*pairs, seed=1) != calibration_error(*pairs, seed=2)
