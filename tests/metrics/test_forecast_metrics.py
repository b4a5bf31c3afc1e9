"""Metrics of forecasts against references that are computed in another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.metrics.forecast import forecast_details, forecast_metrics, pinball, usual_levels


def columns(windows: int = 40, horizon: int = 5, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    error = rng.normal(size=(windows, horizon))
    return {
        "targets": np.full(windows, horizon),
        "mase_targets": np.full(windows, horizon),
        "block": np.arange(windows) // (2 * horizon),
        "squared": (error**2).sum(1),
        "absolute": np.abs(error).sum(1),
        "mase": np.abs(error).sum(1) / 2,
        "repeat_last_squared": (error**2).sum(1) * 4,
        "repeat_last_absolute": np.abs(error).sum(1) * 2,
    }


def test_the_headline_is_first_and_naive_forecasts_stand_beside() -> None:
    found = forecast_metrics(columns(), "mae")
    assert list(found) == ["mae", "mse", "mase", "repeat_last_mse", "repeat_last_mae"]
    assert found["repeat_last_mse"].value == pytest.approx(4 * found["mse"].value)
    assert found["mase"].value == pytest.approx(found["mae"].value / 2)
    assert found["mse"].n == 40


def test_windows_without_all_values_weigh_less() -> None:
    given = columns(2)
    given["targets"] = np.array([5, 1])
    value = forecast_metrics(given, "mse")["mse"].value
    assert value == pytest.approx(given["squared"].sum() / 6)


def test_windows_that_overlap_are_one() -> None:
    """The error of each step is in as many windows as forecast it: their number says nothing of
    how well the mean is known."""
    horizon, steps, misses = 24, 600, 0
    rng = np.random.default_rng(3)
    for _ in range(200):
        squared = rng.normal(size=steps) ** 2
        sums = np.convolve(squared, np.ones(horizon), "valid")
        rows = len(sums)
        given = {
            "targets": np.full(rows, horizon),
            "block": np.arange(rows) // (2 * horizon),
            "squared": sums,
            "absolute": sums,
        }
        found = forecast_metrics(given, "mse")["mse"]
        assert found.interval is not None
        misses += not found.interval[0] <= 1.0 <= found.interval[1]
        alone = forecast_metrics({**given, "block": np.arange(rows)}, "mse")["mse"]
        assert alone.interval is not None
        narrow = alone.interval[1] - alone.interval[0]
        assert narrow < 0.5 * (found.interval[1] - found.interval[0])
    assert misses < 0.2 * 200  # 5 % of many blocks; there are a dozen of them here


@settings(max_examples=60, deadline=None)
@given(st.floats(-5, 5), st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_crps_of_many_quantiles_is_that_of_the_sample(truth: float, sample: list[float]) -> None:
    """Twice the mean quantile loss over all levels: E|X - y| - E|X - X'| / 2 of what the quantiles
    are of."""
    draws = np.sort(np.array(sample))
    levels = (np.arange(4000) + 0.5) / 4000
    quantiles = draws[np.minimum((levels * len(draws)).astype(int), len(draws) - 1)]
    ours = 2 * np.mean(
        [pinball(np.array(truth - q), level) for q, level in zip(quantiles, levels, strict=True)]
    )
    apart = np.abs(draws[:, None] - draws[None]).mean() / 2
    assert ours == pytest.approx(np.abs(draws - truth).mean() - apart, abs=5e-3)


def test_a_single_value_has_its_absolute_error_as_crps() -> None:
    errors = np.random.default_rng(2).normal(size=50)
    levels = usual_levels()
    crps = 2 * np.mean([pinball(errors, level) for level in levels], 0)
    np.testing.assert_allclose(crps, np.abs(errors), rtol=1e-12)


def test_crps_and_coverage() -> None:
    given = columns()
    given["pinball"] = given["absolute"] / 4
    given["inside"] = np.full(40, 4.0)
    found = forecast_metrics(given, "crps")
    assert next(iter(found)) == "crps"
    assert found["crps"].value == pytest.approx(found["mae"].value / 2)
    assert found["coverage"].value == pytest.approx(0.8)
    given["inside"] = np.full(40, 5.0)
    assert forecast_metrics(given, "crps")["coverage"].high == 1.0


def test_a_column_that_no_naive_forecast_errs_on_has_no_mase() -> None:
    given = columns() | {"mase_targets": np.zeros(40), "mase": np.zeros(40)}
    assert "mase" not in forecast_metrics(given, "mse")


def test_details_by_target() -> None:
    given = {
        "targets_of": np.array([[2, 2], [2, 0]]),
        "squared_of": np.array([[4.0, 1.0], [2.0, 0.0]]),
        "in_units_of": np.array([[8.0, 1.0], [0.0, 0.0]]),
        "repeat_last_in_units_of": np.array([[4.0, 2.0], [4.0, 0.0]]),
    }
    one, other = forecast_details(given, ("a", "b"))
    assert one == {
        "name": "a",
        "mse": 1.5,
        "mae_in_units": 2.0,
        "repeat_last_mae_in_units": 2.0,
    }
    assert other["mse"] == 0.5
    assert math.isclose(other["repeat_last_mae_in_units"], 1.0)
