"""Tables of series: the columns, the rows, and what is wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from series_files import hours, prepared, waves, wide, write

from luthier.data.series.series import SeriesSpec
from luthier.errors import DataError, SpecError
from luthier.spec import parse


def test_a_wide_table(tmp_path: Path) -> None:
    data = prepared(wide(tmp_path))
    assert data.target.names == ("a", "b")
    assert data.target.season == 24
    assert {d.place: d.value for d in data.decisions} == {
        "data.time": "date",
        "data.targets": ["a", "b"],
        "data.frequency": "1h",
        "data.season": 24,
    }
    assert "120 rows in steps of 1h, 2 targets" in data.recognised
    assert data.table.series[0].steps == 120


def test_the_formats_are_one(tmp_path: Path) -> None:
    path = wide(tmp_path)
    wanted = prepared(path).fingerprint
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    stamps = np.array(hours(120), dtype="datetime64[s]")
    columns = {"date": stamps, "a": waves(120)[:, 0], "b": waves(120)[:, 1]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    bare = tmp_path / "bare.txt"
    bare.write_text("\n".join(path.read_text().splitlines()[1:]))
    assert prepared(packed).fingerprint == wanted
    assert prepared(tmp_path / "t.parquet").fingerprint == wanted
    assert prepared(bare, columns=["date", "a", "b"]).fingerprint == wanted


def test_rows_without_times(tmp_path: Path) -> None:
    rows = waves(120).tolist()
    data = prepared(write(tmp_path / "n.csv", ("a", "b"), rows), time=None)
    assert data.train.name(0) == "12"
    assert data.target.season == 1


def test_a_long_table(tmp_path: Path) -> None:
    values = waves(100)
    rows = [
        [time, name, values[number, column]]
        for number, time in enumerate(hours(100))
        for column, name in enumerate(("north", "south"))
    ]
    path = write(tmp_path / "long.csv", ("ds", "shop", "y"), rows)
    data = prepared(path, series="shop")
    assert data.target.names == ("y",)
    assert data.train.steps.labels == ("north", "south")
    assert data.train.name(0).startswith("north 2024-01-01 12:00")
    alone = prepared(wide(tmp_path, 100), targets=["a"])
    half = len(data.train) // 2
    assert half == len(alone.train)
    ids = np.arange(half)
    np.testing.assert_array_equal(
        data.train.read(ids, 0).inputs.numpy(), alone.train.read(ids, 0).inputs.numpy()
    )
    assert abs(float(data.train.read(ids + half, 0).inputs.mean())) < 1  # at its own scale


def test_the_order_of_rows_is_that_of_time(tmp_path: Path) -> None:
    wanted = prepared(wide(tmp_path)).fingerprint
    mixed = prepared(wide(tmp_path, change=lambda rows: rows.reverse()))
    assert mixed.table.unsorted
    assert mixed.fingerprint == wanted


def again(rows: list[list[Any]]) -> None:
    rows.insert(7, list(rows[6]))


def between(rows: list[list[Any]]) -> None:
    rows[9][0] = "2024-01-01 09:30:00"


def gap(rows: list[list[Any]]) -> None:
    del rows[20:23]


def hole(rows: list[list[Any]]) -> None:
    rows[30][2] = ""


def word(rows: list[list[Any]]) -> None:
    rows[4][1] = "high"


def timeless(rows: list[list[Any]]) -> None:
    rows[5][0] = "noon"


def infinite(rows: list[list[Any]]) -> None:
    rows[4][1] = "inf"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (again, "wide.csv line 9: has a time that an earlier row has too"),
        (between, "wide.csv line 11: does not lie a whole number of steps of 1h behind the first"),
        (gap, "6 values are missing (3 times have no row at all), the first in "
         '"a" at 2024-01-01 20:00:00'),
        (hole, '1 value is missing, the first in "b" at 2024-01-02 06:00:00; fill each'),
        (word, "wide.csv line 6: has 'high' in the column \"a\"; wanted a finite number"),
        (timeless, "wide.csv line 7: has 'noon' as its time; wanted 2024-07-31"),
        (infinite, "wide.csv line 6: has 'inf' in the column \"a\"; wanted a finite number"),
    ],
)  # fmt: skip
def test_what_is_wrong_stops_with_its_place(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        prepared(wide(tmp_path, change=change))
    assert message in str(caught.value)
    lenient = prepared(wide(tmp_path, change=change), on_error="skip", missing="fill")
    assert len(lenient.skipped) + lenient.missing > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"time": "dat"}, 'has no column "dat" (data.time); did you mean "date"?'),
        ({"targets": ["c"]}, 'has no column "c" (data.targets)'),
        ({"known": ["price"]}, 'has no column "price" (data.known)'),
        ({"series": "shop"}, 'has no column "shop" (data.series)'),
        ({"lookback": 100}, "has 84 training rows; wanted 104 or more: a window reads 100"),
        ({"split": {"train": 200}}, "has 120 rows; data.split wants 200 for training"),
        ({"split": {"test": 2}}, "no window lies in the test rows: each forecasts 4 of them"),
        (
            {"split": {"validation": "2030-01-01", "test": "2030-02-01"}},
            "has no row for data.split.v",
        ),
        ({"split": {"validation": "2020-01-01", "test": "2020-02-01"}}, "nothing to train on"),
        ({"split": {"validation": "7", "test": "9"}}, "has dates as times, but data.split"),
        ({"calendar": True, "frequency": "rows"}, "steps of rows are no part of a day"),
        ({"calendar": True, "lookback": 2}, "data.lookback: got 2; with data.calendar wanted at"),
        ({"frequency": "15min"}, None),
    ],
)
def test_settings_that_do_not_suit_the_table(
    tmp_path: Path, settings: dict[str, Any], message: str | None
) -> None:
    path = wide(tmp_path)
    with pytest.raises(DataError) as caught:
        prepared(path, **settings)
    assert (message or "values are missing") in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": {"validation": 0.5, "test": 0.5}}, "the shares add up to 1; wanted less"),
        ({"split": {"validation": 1.5}}, "got 1.5; wanted a number of rows, a share below 1"),
        ({"split": {"validation": "soon"}}, "got something that has 'soon' as its time"),
        ({"split": {"validation": "2024-01-01"}}, "got a date and a number"),
        ({"split": {"train": 9, "validation": "2024-01-01", "test": "2024-02-01"}}, "train: ends"),
        ({"frequency": "hourly"}, 'got "hourly"; wanted a number and s, min, h'),
        ({"targets": ["a"], "known": ["a"]}, "the column a has two roles"),
        ({"targets": ["a"], "time": "a"}, "the column a has two roles"),
        ({"targets": []}, "targets: got none of them"),
        ({"lookback": 0}, "lookback: got 0; wanted at least 1"),
        ({"time": None, "calendar": True}, "calendar: belongs to rows with a time"),
        ({"time": None, "frequency": "1h"}, "frequency: belongs to rows with a time"),
        ({"missing": "drop"}, "missing"),
        ({"lookbak": 3}, 'unknown setting "lookbak"; did you mean "lookback"?'),
    ],
)
def test_settings_that_contradict_themselves(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(SeriesSpec, {"kind": "series", "path": "x.csv", **settings})
    assert message in str(caught.value)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; wanted a table with a row for each"):
        prepared(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="is a folder; wanted a table"):
        prepared(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="is empty; wanted a line with the names"):
        prepared(tmp_path / "empty.csv")
    (tmp_path / "head.csv").write_text("date,a\n")
    with pytest.raises(DataError, match="has no rows; wanted a table"):
        prepared(tmp_path / "head.csv")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="is no usable Parquet file"):
        prepared(tmp_path / "cut.parquet")
    words = write(tmp_path / "words.csv", ("date", "a"), [[t, "x"] for t in hours(9)])
    with pytest.raises(DataError, match="has no other column of numbers to forecast"):
        prepared(words)
    numbers = write(tmp_path / "numbers.csv", ("x", "a"), [[n, n] for n in range(9)])
    with pytest.raises(DataError, match=r"has no column of times; name it with data\.time=COLUMN"):
        prepared(numbers)
    far = write(
        tmp_path / "far.csv", ("date", "a"), [*([t, 1] for t in hours(9)), ["2924-01-01", 2]]
    )
    with pytest.raises(DataError, match="steps of 1h apart, with 10 rows from the one to the"):
        prepared(far)
