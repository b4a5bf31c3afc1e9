"""What forecasts are worth, beside those that anybody makes without a network.

All functions read the same columns, one entry a window: `targets` (values that were to be
forecast), `mase_targets` (those of columns that a naive forecast errs on in training), `block`
(windows that share steps), and for each forecast the sums over the values of a window.

Dimension key, for the whole file:
    N  windows      Q  quantiles
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from luthier.metrics.interval import Metric
from luthier.metrics.ratio import ratio

NAIVE = ("repeat_last", "seasonal_naive")
"""Forecasts without a network: the last value again and again; the last season again and again."""


def forecast_metrics(columns: Mapping[str, np.ndarray], headline: str) -> dict[str, Metric]:
    """The metrics of a forecast, the headline first, then the same of naive forecasts.

    `mse` and `mae` of values on the scale that was learned; `rmse` is the root of the first.
    `mae_in_units` in the units of the one target, where there is one. `mase`, the absolute error
    by that of the seasonal naive forecast on the training rows: below 1 is better than that was.
    Of quantiles `crps`, twice the mean of the quantile losses; a single value has its absolute
    error as its CRPS, so that `crps` compares with `repeat_last_mae`. `coverage` is the share of
    values that lie between the outermost quantiles.

    Intervals take as independent what shares no step: windows that overlap are blocks.

    Source:
        Hyndman and Koehler 2006, "Another look at measures of forecast accuracy" (MASE); Gneiting
        and Raftery 2007, "Strictly Proper Scoring Rules", section 4.2 (CRPS and quantiles).

    Example:
        >>> columns = {
        ...     "targets": np.array([2, 2]),
        ...     "block": np.array([0, 1]),
        ...     "squared": np.array([2.0, 4.0]),
        ...     "absolute": np.array([2.0, 2.0]),
        ... }
        >>> {name: found.value for name, found in forecast_metrics(columns, "mse").items()}
        {'mse': 1.5, 'mae': 1.0}
    """
    found = _of("", columns)
    for name, total in (("crps", "pinball"), ("coverage", "inside")):
        if total in columns:
            scale = 2.0 if name == "crps" else 1.0
            found[name] = _mean(scale * columns[total], columns["targets"], columns)
    if "coverage" in found:
        within = found["coverage"]
        high = None if within.high is None else min(within.high, 1.0)
        found["coverage"] = replace(within, high=high)
    metrics = {headline: found.pop(headline), **found}
    for naive in NAIVE:
        metrics |= _of(f"{naive}_", columns)
    return metrics


def _of(prefix: str, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """The errors of one forecast."""
    if f"{prefix}squared" not in columns:
        return {}
    targets = columns["targets"]
    found = {
        f"{prefix}mse": _mean(columns[f"{prefix}squared"], targets, columns),
        f"{prefix}mae": _mean(columns[f"{prefix}absolute"], targets, columns),
    }
    scaled = columns.get(f"{prefix}mase")
    if scaled is not None and columns["mase_targets"].any():
        found[f"{prefix}mase"] = _mean(scaled, columns["mase_targets"], columns)
    if f"{prefix}in_units" in columns:
        found[f"{prefix}mae_in_units"] = _mean(columns[f"{prefix}in_units"], targets, columns)
    return found


def _mean(sums_N: np.ndarray, counts_N: np.ndarray, columns: Mapping[str, np.ndarray]) -> Metric:
    """The mean over all values. Its spread is that between blocks of windows."""
    _, block_N = np.unique(columns["block"], return_inverse=True)
    parts = np.bincount(block_N, weights=sums_N)
    wholes = np.bincount(block_N, weights=counts_N)
    return replace(ratio(parts, wholes, floor=0.0), n=len(sums_N))


def forecast_details(
    columns: Mapping[str, np.ndarray], names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The errors of each target: on the scale that was learned, and in its units.

    Args:
        columns: With sums by target, `(N, T)`: `targets_of`, `squared_of`, `in_units_of` and
            `repeat_last_in_units_of`.
        names: Of the targets.
    """
    count_T = np.maximum(columns["targets_of"].sum(0), 1)
    mse_T = columns["squared_of"].sum(0) / count_T
    mae_T = columns["in_units_of"].sum(0) / count_T
    last_T = columns["repeat_last_in_units_of"].sum(0) / count_T
    return [
        {
            "name": name,
            "mse": float(mse_T[number]),
            "mae_in_units": float(mae_T[number]),
            "repeat_last_mae_in_units": float(last_T[number]),
        }
        for number, name in enumerate(names)
    ]


def pinball(error: np.ndarray, level: float) -> np.ndarray:
    """The quantile loss of `truth - quantile`: `level * error` above it, `(level - 1) * error`
    below.

    Source:
        Koenker and Bassett 1978, "Regression Quantiles".

    Example:
        >>> pinball(np.array([2.0, -2.0]), 0.9).round(6).tolist()
        [1.8, 0.2]
    """
    loss: np.ndarray = np.maximum(level * error, (level - 1) * error)
    return loss


def usual_levels(count: int = 9) -> tuple[float, ...]:
    """Quantiles at equal distances.

    Example:
        >>> usual_levels(3)
        (0.25, 0.5, 0.75)
    """
    digits = 1 + math.ceil(math.log10(count + 1))
    return tuple(round((number + 1) / (count + 1), digits) for number in range(count))
