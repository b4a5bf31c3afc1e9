"""Means, spreads and naive errors of the training rows: all that is known before a forecast.

Dimension key, for the whole file:
    S  series      N  steps      C  columns      T  targets
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How values become what a network reads, and forecasts become values again."""

    mean_SC: np.ndarray
    std_SC: np.ndarray
    naive_ST: np.ndarray
    """The mean absolute error of the seasonal naive forecast on the training rows, in the units of
    the targets; 0 where it makes none, or is not known."""

    @classmethod
    def of(cls, train: list[np.ndarray], season: int, targets: int, *, standard: bool) -> Scaling:
        """Measured on the training rows of each series, and on no others.

        Args:
            train: `(N, C)` of each series, NaN where a value is missing.
            season: The steps that the naive forecast looks back.
            targets: How many columns are targets.
            standard: Whether values are scaled at all.
        """
        means, stds, naives = [], [], []
        for values in train:
            present = ~np.isnan(values)
            count = np.maximum(present.sum(0), 1)
            filled = np.where(present, values, 0.0)
            mean = filled.sum(0) / count
            std = np.sqrt((np.where(present, values - mean, 0.0) ** 2).sum(0) / count)
            # What never changes stays as it is: its spread is nothing but rounding.
            still = std <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
            means.append(mean if standard else np.zeros_like(mean))
            stds.append(np.where(still, 1.0, std) if standard else np.ones_like(std))
            naives.append(naive_error(values[:, :targets], season))
        return cls(mean_SC=np.stack(means), std_SC=np.stack(stds), naive_ST=np.stack(naives))

    def scaled(self, values_NC: np.ndarray, series: int) -> np.ndarray:
        """Values as a network reads them."""
        scaled: np.ndarray = (values_NC - self.mean_SC[series]) / self.std_SC[series]
        return scaled


def naive_error(values_NT: np.ndarray, season: int) -> np.ndarray:
    """The mean of `|y[t] - y[t - season]|` of each column; 0 where there is none.

    Source:
        Hyndman and Koehler 2006, "Another look at measures of forecast accuracy", section 3: what
        MASE divides by.

    Example:
        >>> naive_error(np.array([[1.0], [2.0], [4.0]]), season=1).tolist()
        [1.5]
    """
    errors = np.abs(values_NT[season:] - values_NT[:-season])
    present = ~np.isnan(errors)
    sums: np.ndarray = np.where(present, errors, 0.0).sum(0) / np.maximum(present.sum(0), 1)
    return sums
