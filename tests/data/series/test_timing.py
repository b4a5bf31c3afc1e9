"""Times of rows, and the step between them."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.series.calendar_features import cycles, features, names
from luthier.data.series.timing import DAY, Step, read_time, step_of, written
from luthier.errors import DataError


def times(*texts: str) -> np.ndarray:
    return np.array([read_time(text)[0] for text in texts])


@pytest.mark.parametrize(
    ("text", "back", "season"),
    [
        ("15min", "15min", 96),
        ("h", "1h", 24),
        ("24h", "1d", 7),
        ("7D", "1w", 52),
        ("1mo", "1mo", 12),
        ("3mo", "1q", 4),
        ("2q", "2q", 2),
        ("1y", "1y", 1),
        ("10s", "10s", 8640),
        ("rows", "rows", 1),
    ],
)
def test_a_frequency_and_its_season(text: str, back: str, season: int) -> None:
    step = Step.parse(text)
    assert str(step) == back
    assert Step.parse(str(step)) == step
    assert step.season == season


@pytest.mark.parametrize("text", ["", "0h", "hourly", "1 fortnight", "-1h", "1.5h"])
def test_no_frequency(text: str) -> None:
    with pytest.raises(ValueError, match="such as 15min or 1h"):
        Step.parse(text)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2016-07-01 05:00:00", "2016-07-01 05:00:00"),
        ("2016-07-01", "2016-07-01 00:00:00"),
        ("2016/07/01 05:00", "2016-07-01 05:00:00"),
        ("20160701", "2016-07-01 00:00:00"),
        ("2016-07-01T05:00:00Z", "2016-07-01 05:00:00"),
        ("2016-07-01T05:00:00+02:00", "2016-07-01 03:00:00"),
        (datetime.date(2016, 7, 1), "2016-07-01 00:00:00"),
        (datetime.datetime(1969, 12, 31, 23), "1969-12-31 23:00:00"),
        ("42", "42"),
        (1990, "1990"),
    ],
)
def test_times(value: object, said: str) -> None:
    time, numbered = read_time(value)
    assert written(time, numbered=numbered) == said


@pytest.mark.parametrize("value", ["", "soon", "13/07/2016", None, 1.5, True, "2016-13-01"])
def test_no_times(value: object) -> None:
    with pytest.raises(DataError, match="as its time; wanted 2024-07-31"):
        read_time(value)


def test_the_step_that_most_rows_keep() -> None:
    gap = times("2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 05:00")
    assert str(step_of(gap, numbered=False)) == "1h"
    assert Step.parse("1h").places(gap).tolist() == [0, 1, 2, 5]
    off = times("2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 01:30")
    assert Step.parse("1h").places(off).tolist() == [0, 1, -1]
    assert str(step_of(np.array([3, 5, 7]), numbered=True)) == "2"


def test_months_are_equally_far_apart() -> None:
    starts = times("2023-12-01", "2024-01-01", "2024-02-01", "2024-04-01")
    ends = times("2023-12-31", "2024-01-31", "2024-02-29", "2024-04-30")
    for moments, later in ((starts, "2024-05-01 00:00:00"), (ends, "2024-05-31 00:00:00")):
        step = step_of(moments, numbered=False)
        assert str(step) == "1mo"
        assert step.places(moments).tolist() == [0, 1, 2, 4]
        assert written(int(step.after(int(moments[-1]), 1)[0]), numbered=False) == later
    years = times("2000-01-01", "2001-01-01", "2002-01-01")
    assert str(step_of(years, numbered=False)) == "1y"


@settings(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1)),
    st.sampled_from(["1s", "15min", "1h", "1d", "1w", "1mo", "1q", "1y"]),
    st.integers(1, 40),
)
def test_what_comes_after_lies_on_the_grid(
    moment: datetime.datetime, text: str, count: int
) -> None:
    moment = moment.replace(microsecond=0, day=min(moment.day, 27))
    first, step = read_time(moment)[0], Step.parse(text)
    every = np.concatenate([[first], step.after(first, count)])
    assert step.places(every).tolist() == list(range(count + 1))


def test_the_calendar() -> None:
    hour, month = Step.parse("1h"), Step.parse("1mo")
    assert cycles(hour) == ("day", "week", "year")
    assert cycles(Step.parse("1d")) == ("week", "year")
    assert cycles(month) == ("year",)
    assert cycles(Step.parse("1y")) == cycles(Step.parse("rows")) == ()
    assert len(names(hour)) == 6
    day = features(times("2024-01-01 00:00", "2024-01-01 06:00"), hour)
    np.testing.assert_allclose(day[:, :2], [[0, 1], [1, 0]], atol=1e-9)
    # Monday morning begins the week, the first of January the year.
    np.testing.assert_allclose(day[0, 2:], [0, 1, 0, 1], atol=1e-9)
    week = features(times("2024-01-01") + np.arange(3) * 7 * DAY, Step.parse("1w"))
    assert week.shape == (3, 2)
