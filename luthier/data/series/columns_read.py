"""What a network reads of a series: targets, past, known and the calendar, scaled.

Dimension key, for the whole file:
    N  steps of a series      C  columns of the table      R  columns that are read
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from luthier.data.series import calendar_features
from luthier.data.series.scaling import Scaling
from luthier.data.series.series import SeriesSpec
from luthier.data.series.series_table import OneSeries, SeriesTable
from luthier.data.series.timing import Step
from luthier.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ColumnsRead:
    """Which columns are read as they are, and which as they are `horizon` steps later."""

    now: int
    """Columns of targets and past, which come first."""
    known: int
    """Columns that are known beforehand, which follow."""
    calendar: bool
    horizon: int
    step: Step

    @classmethod
    def of(cls, spec: SeriesSpec, table: SeriesTable, horizon: int) -> ColumnsRead:
        """As a recipe says.

        Raises:
            DataError: If what is known beforehand would not be read as far as the forecast
                reaches, or the steps are too long for a calendar.
        """
        assert isinstance(spec.lookback, int)
        ahead = "known" if spec.known else "calendar" if spec.calendar else ""
        if ahead and spec.lookback < horizon:
            raise DataError(
                f"data.lookback: got {spec.lookback:,}; with data.{ahead} wanted at least the "
                f"{horizon:,} steps that are forecast"
            )
        if spec.calendar and not calendar_features.cycles(table.step):
            raise DataError(
                f"data.calendar: got true, but steps of {table.step} are no part of a day, a week "
                "or a year; leave it out"
            )
        return cls(
            now=len(table.columns.targets) + len(table.columns.past),
            known=len(table.columns.known),
            calendar=spec.calendar,
            horizon=horizon,
            step=table.step,
        )

    def inputs(
        self, one: OneSeries, future_FC: np.ndarray, scaling: Scaling, number: int
    ) -> np.ndarray:
        """`(N, R)`, NaN where a value is missing.

        What is known beforehand is that of `horizon` steps later: so a window that ends now has
        all of it, up to the last step that is forecast.

        Args:
            one: A series.
            future_FC: The rows behind it, of which only what is known beforehand is there.
            scaling: Of all series.
            number: Of this one.
        """
        steps = one.steps
        scaled_NC = scaling.scaled(one.values, number)
        parts = [scaled_NC[:, : self.now]]
        if self.known:
            later_FC = scaling.scaled(future_FC, number)
            known = np.concatenate([scaled_NC, later_FC])[self.horizon :, self.now :][:steps]
            ahead = np.full((steps, self.known), np.nan)
            ahead[: len(known)] = known
            parts.append(ahead)
        if self.calendar:
            later = self.step.after(int(one.times[-1]), self.horizon)
            times = np.concatenate([one.times, later])[self.horizon :]
            parts.append(calendar_features.features(times, self.step))
        return np.concatenate(parts, 1)


def filled(values_NC: np.ndarray) -> np.ndarray:
    """Each missing value as the last one before it, never as a later one; 0 before the first.

    Example:
        >>> filled(np.array([[np.nan], [2.0], [np.nan], [3.0]])).ravel().tolist()
        [0.0, 2.0, 2.0, 3.0]
    """
    absent = np.isnan(values_NC)
    if not absent.any():
        return values_NC
    rows = np.where(absent, -1, np.arange(len(values_NC))[:, None])
    last = np.maximum.accumulate(rows, axis=0)
    found = np.take_along_axis(values_NC, np.maximum(last, 0), axis=0)
    return np.where(last < 0, 0.0, found)
