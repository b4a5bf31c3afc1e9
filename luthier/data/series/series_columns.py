"""Which column of a table is what, and the number in a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.data.readers.rows import Row
from luthier.data.series.series import SeriesSpec
from luthier.data.series.timing import read_time
from luthier.errors import DataError, nearest
from luthier.spec import Decision

LOOKED_AT = 200
"""Rows that tell which columns are what."""
MOST = 0.75
"""The share of them that tells what a column has: a few of its values may be wrong, and are then
told one by one."""
_TIMES = ("date", "time", "timestamp", "datetime", "ds", "day", "month", "year")
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?", "-"}


@dataclass(frozen=True, kw_only=True)
class SeriesColumns:
    """Which column is what."""

    time: str | None
    series: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """All columns of numbers: targets, then past, then known."""
        return (*self.targets, *self.past, *self.known)


def columns_of(
    spec: SeriesSpec, where: str, rows: Sequence[Row]
) -> tuple[SeriesColumns, tuple[Decision, ...]]:
    """Which column is what, and what was decided about it.

    Args:
        spec: The data section of a recipe.
        where: The table, for messages.
        rows: The first ones of it, at least one.

    Raises:
        DataError: If a column is not there, or none can be found for a role.
    """
    names = [str(name) for name in rows[0][1]]
    decisions = []
    time = spec.time
    if time == "auto":
        time = _time_among(names, rows)
        if time is None:
            raise DataError(
                f"{where}: has no column of times; name it with data.time=COLUMN, or say that "
                "rows follow one another in equal steps: data.time=null"
            )
        reason = "its values are times"
        decisions.append(Decision(place="data.time", value=time, reason=reason))
    roles = [("time", time), ("series", spec.series)]
    roles += [(role, name) for role in ("known", "past") for name in getattr(spec, role)]
    roles += [("targets", name) for name in spec.chosen]
    for role, column in roles:
        if column is not None and column not in names:
            raise DataError(
                f'{where}: has no column "{column}" (data.{role}){_hint(column, names)}'
            )
    targets = spec.chosen
    if spec.targets == "all":
        taken = {column for _, column in roles}
        targets = tuple(n for n in names if n not in taken and _is_numbers(n, rows))
        if not targets:
            raise DataError(
                f"{where}: has no other column of numbers to forecast; has {', '.join(names)}"
            )
        reason = "the columns of numbers that nothing else was said of"
        decisions.append(Decision(place="data.targets", value=list(targets), reason=reason))
    columns = SeriesColumns(
        time=time, series=spec.series, targets=targets, past=spec.past, known=spec.known
    )
    return columns, tuple(decisions)


def number(value: Any) -> float:
    """The number in a cell; NaN where it is empty.

    Raises:
        ValueError: If there is something else in it.
    """
    if value is None:
        return math.nan
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _MISSING:
            return math.nan
        value = float(text)
    found = float(value)
    if math.isinf(found):
        raise ValueError("infinite")
    return found


def _hint(column: str, names: Sequence[str]) -> str:
    told = nearest(column, names)
    return told if told.endswith("?") else f"{told}; without a line of names, give data.columns=[…]"


def _time_among(names: Sequence[str], rows: Sequence[Row]) -> str | None:
    named = [name for known in _TIMES for name in names if name.lower() == known]
    return next((name for name in named if _is_times(name, rows, numbers=True)), None) or next(
        (name for name in names if _is_times(name, rows, numbers=False)), None
    )


def _is_times(column: str, rows: Sequence[Row], *, numbers: bool) -> bool:
    """Whether the values of a column are times; plain numbers only where these are meant too."""
    fits = 0
    for _, values in rows:
        try:
            fits += numbers or not read_time(values.get(column))[1]
        except DataError:
            continue
    return fits >= MOST * len(rows)


def _is_numbers(column: str, rows: Sequence[Row]) -> bool:
    """Whether a column has numbers, and perhaps nothing in some rows."""
    found = [_number_or_none(values.get(column)) for _, values in rows]
    numbers = [value for value in found if value is not None]
    return len(numbers) >= MOST * len(rows) and not all(map(math.isnan, numbers))


def _number_or_none(value: Any) -> float | None:
    try:
        return number(value)
    except (ValueError, TypeError):
        return None
