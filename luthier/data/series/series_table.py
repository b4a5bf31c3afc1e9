"""From a table to series: a row for each step, NaN where a value is missing.

Dimension key, for the whole file:
    N  steps of a series      C  columns: targets, past, known
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from luthier.data.faults import Faults
from luthier.data.readers.place import existing
from luthier.data.readers.rows import Row, TableForm, read_rows
from luthier.data.readers.stored import Stored
from luthier.data.series.series import SeriesSpec
from luthier.data.series.series_columns import LOOKED_AT, SeriesColumns, columns_of, number
from luthier.data.series.timing import Step, Times, read_time, step_of, written
from luthier.errors import DataError
from luthier.spec import Decision

WANTED = "a table with a row for each time (.csv, .tsv, .txt, .jsonl, .json, .parquet)"
SPARSE = 20
"""Steps for a row, from which the times are no series: one of them must be wrong."""


@dataclass(frozen=True, kw_only=True)
class OneSeries:
    """What was measured of one thing."""

    name: str
    """As the table calls it; empty where it has one series."""
    times: Times
    """`(N,)`; rows that have no time are numbered."""
    values: np.ndarray
    """`(N, C)` float64; NaN where a value is missing."""

    @property
    def steps(self) -> int:
        """N."""
        return len(self.times)


@dataclass(frozen=True, kw_only=True)
class SeriesTable:
    """A table that was read."""

    columns: SeriesColumns
    series: tuple[OneSeries, ...]
    step: Step
    numbered: bool
    """Whether times are plain numbers."""
    rows: int
    absent: int
    """Times that have no row."""
    unsorted: bool
    decisions: tuple[Decision, ...] = ()

    def written(self, time: int) -> str:
        """A time as people write it."""
        return written(time, numbered=self.numbered)


def read_series(spec: SeriesSpec, faults: Faults) -> SeriesTable:
    """The series of a table.

    Args:
        spec: The data section of a recipe.
        faults: Takes up rows that cannot be used.

    Raises:
        DataError: If the table cannot be read, or has no series.
    """
    place = existing(spec.path, WANTED)
    if place.is_dir():
        raise DataError(f"{place}: is a folder; wanted {WANTED}")
    form = TableForm(delimiter=spec.delimiter, columns=spec.columns)
    rows = read_rows(Stored.at(place), faults, form)
    first = list(itertools.islice(rows, LOOKED_AT))
    if not first:
        faults.settle()
        raise DataError(f"{place}: has no rows; wanted {WANTED}")
    columns, decisions = columns_of(spec, str(place), first)
    read = _Read(columns, faults)
    read.take(itertools.chain(first, rows))
    if not read.found:
        faults.settle()
        raise DataError(f"{place}: has no rows that can be used")
    longest = max(read.found.values(), key=lambda one: len(one.times))
    step = _step(spec, longest, numbered=read.numbered)
    if step.unit in ("microseconds", "months") and read.numbered:
        raise DataError(
            f"data.frequency: got {spec.frequency}, but the times in {place} are plain numbers; "
            "leave it out"
        )
    unsorted = any(one.unsorted for one in read.found.values())
    series = [one.on_grid(name, step, faults) for name, one in read.found.items()]
    faults.settle()
    decided = list(decisions)
    if spec.frequency == "auto" and step.unit in ("microseconds", "months"):
        reason = "the step that most rows keep"
        decided.append(Decision(place="data.frequency", value=str(step), reason=reason))
    elif spec.frequency == "auto" and columns.time is not None and step.unit == "rows":
        decided.append(Decision(place="data.frequency", value="rows", reason="a single row"))
    return SeriesTable(
        columns=columns,
        series=tuple(series),
        step=step,
        numbered=read.numbered,
        rows=sum(len(one.times) for one in read.found.values()),
        absent=sum(one.steps for one in series) - sum(len(o.places) for o in read.found.values()),
        unsorted=unsorted,
        decisions=tuple(decided),
    )


def _step(spec: SeriesSpec, longest: _Rows, *, numbered: bool) -> Step:
    if spec.time is None:
        return Step(1, "numbers")
    if spec.frequency != "auto":
        return Step.parse(spec.frequency)
    return step_of(np.unique(np.array(longest.times, dtype=np.int64)), numbered=numbered)


@dataclass
class _Rows:
    """The rows of one series, as they come."""

    places: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)

    @property
    def unsorted(self) -> bool:
        return any(b < a for a, b in itertools.pairwise(self.times))

    def on_grid(self, name: str, step: Step, faults: Faults) -> OneSeries:
        """A row for each step from the first to the last."""
        order = np.argsort(np.array(self.times, dtype=np.int64), kind="stable")
        times = np.array(self.times, dtype=np.int64)[order]
        again = np.concatenate([[False], times[1:] == times[:-1]])
        places = np.where(again, -1, step.places(times))
        for row in np.flatnonzero(places < 0):
            reason = (
                "has a time that an earlier row has too"
                if again[row]
                else f"does not lie a whole number of steps of {step} behind the first row"
            )
            faults.add(self.places[int(order[row])], reason)
        kept = places >= 0
        self.places = [self.places[int(row)] for row in order[kept]]
        values = np.array(self.values, dtype=np.float64)[order][kept]
        times, places = times[kept], places[kept]
        steps = int(places[-1]) + 1
        if steps > SPARSE * len(places) + 100:
            raise DataError(
                f"{self.places[0]} and {self.places[-1]}: lie {steps:,} steps of {step} apart, "
                f"with {len(places):,} rows from the one to the other; mend the times, or give "
                "data.frequency"
            )
        if steps == len(places):
            return OneSeries(name=name, times=times, values=values)
        grid = np.full((steps, values.shape[1]), np.nan)
        grid[places] = values
        every = np.concatenate([times[:1], step.after(int(times[0]), steps - 1)])
        return OneSeries(name=name, times=every, values=grid)


class _Read:
    """Rows, series by series.

    Args:
        columns: Which is what.
        faults: Takes up rows that cannot be used.
    """

    def __init__(self, columns: SeriesColumns, faults: Faults) -> None:
        self.columns = columns
        self.faults = faults
        self.found: dict[str, _Rows] = {}
        self.numbered = columns.time is None

    def take(self, rows: Iterable[Row]) -> None:
        """All rows of the table."""
        columns, first = self.columns, True
        for count, (place, values) in enumerate(rows):
            try:
                time, numbered = count, True
                if columns.time is not None:
                    time, numbered = read_time(values.get(columns.time))
                if first:
                    self.numbered, first = numbered, False
                elif numbered != self.numbered:
                    raise DataError("has a plain number as its time, or it alone has none")
                numbers = [_cell(values.get(name), name) for name in columns.values]
                name = "" if columns.series is None else _name(values.get(columns.series))
            except DataError as error:
                self.faults.add(place, str(error))
                continue
            one = self.found.setdefault(name, _Rows())
            if columns.time is None:
                time = len(one.times)
            one.places.append(place)
            one.times.append(time)
            one.values.append(numbers)


def _cell(value: Any, column: str) -> float:
    try:
        return number(value)
    except (ValueError, TypeError):
        raise DataError(
            f'has {value!r:.40} in the column "{column}"; wanted a finite number'
        ) from None


def _name(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    if not text:
        raise DataError("does not say which series it belongs to")
    return text


def without_future(one: OneSeries, targets: int) -> tuple[OneSeries, np.ndarray]:
    """A series up to its last step with a target; and the values of the steps behind that.

    Args:
        one: A series.
        targets: How many of its columns are targets.
    """
    measured = np.flatnonzero(~np.isnan(one.values[:, :targets]).all(1))
    stop = int(measured[-1]) + 1 if len(measured) else 0
    return replace(one, times=one.times[:stop], values=one.values[:stop]), one.values[stop:]
