"""Times of rows, and the step between them.

A time is a whole number: microseconds since 1970, or of rows that are numbered, the number.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from luthier.errors import DataError

Times = NDArray[np.int64]
Unit = Literal["microseconds", "months", "numbers", "rows"]

SECOND = 1_000_000
DAY = 86_400 * SECOND
_EPOCH = datetime.datetime(1970, 1, 1)
_UNITS = {"s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_FREQUENCY = re.compile(r"(\d{0,6})\s?(s|min|h|d|w|mo|q|y)", re.IGNORECASE)
_SEASONS = {3600 * SECOND: 24, DAY: 7, 7 * DAY: 52}
"""Steps of the usual season, by the step: a day of hours, a week of days, a year of weeks."""
SHORTEST_MONTH, LONGEST_MONTH = 28 * DAY, 31 * DAY


@dataclass(frozen=True)
class Step:
    """What lies between two rows."""

    count: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Step:
        """`15min`, `1h`, `d`, `1mo`; `rows` for a step at each row, whatever its time.

        Raises:
            ValueError: If it is none of these.
        """
        if text == "rows":
            return cls(1, "rows")
        found = _FREQUENCY.fullmatch(text.strip())
        if not found or found[1] == "0":
            raise ValueError(
                f'got "{text}"; wanted a number and s, min, h, d, w, mo, q or y, such as 15min or '
                "1h; or rows, where each row is a step"
            )
        count, unit = int(found[1] or 1), found[2].lower()
        if unit in _MONTHS:
            return cls(count * _MONTHS[unit], "months")
        return cls(count * _UNITS[unit], "microseconds")

    def __str__(self) -> str:
        """As a recipe writes it."""
        match self.unit:
            case "rows" | "numbers":
                return "rows" if self.unit == "rows" else str(self.count)
            case "months":
                name = next(n for n in ("y", "q", "mo") if self.count % _MONTHS[n] == 0)
                return f"{self.count // _MONTHS[name]}{name}"
            case "microseconds":
                names = ("w", "d", "h", "min", "s")
                name = next((n for n in names if self.count % _UNITS[n] == 0), "s")
                return f"{self.count / _UNITS[name]:g}{name}"

    @property
    def season(self) -> int:
        """The steps of the season that series of such steps mostly have; 1 for none."""
        if self.unit == "months":
            return max(1, 12 // self.count) if 12 % self.count == 0 else 1
        if self.unit != "microseconds":
            return 1
        if self.count < _UNITS["h"] and DAY % self.count == 0:
            return DAY // self.count
        return _SEASONS.get(self.count, 1)

    def places(self, times: Times) -> Times:
        """How many steps each time lies behind the first one; -1 where that is no whole number.

        Args:
            times: `(N,)`, rising.
        """
        if self.unit == "rows":
            return np.arange(len(times))
        if self.unit != "months":
            steps, rest = np.divmod(times - times[0], self.count)
            return np.where(rest == 0, steps, -1)
        months, within = _in_months(times)
        steps, rest = np.divmod(months - months[0], self.count)
        return np.where((rest == 0) & (within == within[0]), steps, -1)

    def after(self, time: int, count: int) -> Times:
        """The `count` times that follow `time`."""
        ahead = np.arange(1, count + 1)
        if self.unit != "months":
            return np.asarray(time + ahead * (1 if self.unit == "rows" else self.count))
        months, within = _in_months(np.array([time]))
        starts = (months[0] + ahead * self.count).astype("datetime64[M]")
        return np.asarray(starts.astype("datetime64[us]").astype(np.int64) + within[0])


def _in_months(times: Times) -> tuple[Times, Times]:
    """Months since 1970, and the microseconds from the first of the month on. The last day of a
    month is counted from the first of the next one, so that month ends are equally far apart."""
    moments = times.astype("datetime64[us]")
    ends = bool(((moments + np.timedelta64(1, "D")).astype("datetime64[M]") != moments.astype(
        "datetime64[M]"
    )).all())  # fmt: skip
    shift = DAY if ends else 0
    months = (moments + np.timedelta64(shift, "us")).astype("datetime64[M]")
    starts = months.astype("datetime64[us]").astype(np.int64)
    return months.astype(np.int64), times - starts


def step_of(times: Times, *, numbered: bool) -> Step:
    """The step that most rows keep.

    Args:
        times: `(N,)`, rising, none twice.
        numbered: Whether they are plain numbers.
    """
    if len(times) < 2:
        return Step(1, "rows")
    gaps = np.diff(times)
    if not numbered and gaps.min() >= SHORTEST_MONTH:
        months, within = _in_months(times)
        if (within == within[0]).all():
            return Step(int(np.gcd.reduce(np.diff(months))), "months")
    sizes, counts = np.unique(gaps, return_counts=True)
    return Step(int(sizes[counts.argmax()]), "numbers" if numbered else "microseconds")


def read_time(value: Any) -> tuple[int, bool]:
    """A time, and whether it is a plain number.

    Raises:
        DataError: If it is none; the message does not name the row.
    """
    if isinstance(value, datetime.datetime):
        return _microseconds(value), False
    if isinstance(value, datetime.date):
        return _microseconds(datetime.datetime(value.year, value.month, value.day)), False
    if isinstance(value, int) and not isinstance(value, bool):
        return value, True
    text = str(value).strip() if isinstance(value, str) else ""
    if re.fullmatch(r"-?\d{1,7}|-?\d{9,15}", text):  # 20160701 is a day
        return int(text), True
    if re.match(r"\d{4}/", text):
        text = text.replace("/", "-")
    try:
        return _microseconds(datetime.datetime.fromisoformat(text)), False
    except ValueError:
        raise DataError(
            f"has {value!r:.40} as its time; wanted 2024-07-31, 2024-07-31 18:00, or a whole number"
        ) from None


def _microseconds(moment: datetime.datetime) -> int:
    if moment.tzinfo is not None:
        moment = moment.astimezone(datetime.UTC).replace(tzinfo=None)
    return round((moment - _EPOCH) / datetime.timedelta(microseconds=1))


def written(time: int, *, numbered: bool) -> str:
    """A time as people write it.

    Example:
        >>> written(read_time("2016-07-01")[0], numbered=False)
        '2016-07-01 00:00:00'
    """
    if numbered:
        return str(time)
    return str(np.datetime64(int(time), "us").astype("datetime64[us]").item())
