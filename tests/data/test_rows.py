from __future__ import annotations

import csv
import io
import json
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.faults import Faults
from luthier.data.readers.rows import TableForm, read_rows
from luthier.data.readers.stored import Stored
from luthier.errors import DataError

VALUES = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(st.tuples(VALUES, VALUES.filter(bool)), max_size=6)


def of(name: str, data: bytes) -> Stored:
    return Stored(PurePosixPath(name), f"/data/{name}", data)


def rows(name: str, data: bytes, **form: Any) -> list[dict[str, Any]]:
    return [dict(values) for _, values in read_rows(of(name, data), None, TableForm(**form))]


@given(ROWS)
def test_quoted_values_come_back(values: list[tuple[str, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("a", "b"), *values])
    found = rows("x.csv", text.getvalue().encode())
    assert [(row["a"], row["b"]) for row in found] == values


@given(ROWS)
def test_values_without_quotes_come_back(values: list[tuple[str, str]]) -> None:
    plain = [tuple(value.replace("\n", " ").replace("\t", " ") for value in row) for row in values]
    plain = [row for row in plain if "".join(row).strip()]
    lines = "".join("\t".join(row) + "\n" for row in [("a", "b"), *plain])
    found = rows("x.tsv", lines.encode(), columns=None)
    assert [(row["a"], row["b"]) for row in found] == plain
    headless = lines.split("\n", 1)[1]
    if plain and not plain[0][0].startswith("\ufeff"):
        assert rows("x.tsv", headless.encode(), columns=("a", "b")) == found


@given(st.lists(st.dictionaries(VALUES, st.one_of(VALUES, st.integers(), st.none()))))
def test_json_comes_back(values: list[dict[str, Any]]) -> None:
    lines = "\n\n".join(map(json.dumps, values)).encode()
    assert rows("x.jsonl", lines) == values
    assert rows("x.json", json.dumps(values).encode()) == values
    assert rows("x.json", json.dumps({"version": 1, "data": values}).encode()) == values


def test_parquet() -> None:
    values = [{"text": "中", "label": 1}, {"text": "b", "label": None}]
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(values), data)
    assert rows("x.parquet", data.getvalue()) == values


def test_delimiters() -> None:
    line = b"1 a stirring , funny film\n"
    assert rows("x.train", line, delimiter=" ", columns=("label", "text")) == [
        {"label": "1", "text": "a stirring , funny film"}
    ]
    assert rows("x.txt", b"a\tb\n1\t2, 3\n") == [{"a": "1", "b": "2, 3"}]  # the first line says so
    assert rows("x.txt", b"a;b\n1;2\n", delimiter=";") == [{"a": "1", "b": "2"}]
    assert rows("x.csv", b'a;b\n"1;2";3,4\n') == [{"a": "1;2", "b": "3,4"}]
    assert rows("x.tsv", b'a\tb\n"1\t"2"\n') == [{"a": '"1', "b": '"2"'}]
    assert rows("x.tsv", b'a\tb\n"1\t2"\t3\n', quoted=True) == [{"a": "1\t2", "b": "3"}]
    assert rows("x.csv", b'a,b\n"1,2\n', quoted=False) == [{"a": '"1', "b": "2"}]
    assert rows("x.csv", b"a,b\n1\n") == [{"a": "1", "b": None}]


@pytest.mark.parametrize(
    ("name", "lines", "reason"),
    [
        ("x.csv", [b"a,b", b"1,2", b"1,2,3", b"4,5"], "has more values than the 2 columns; quote"),
        ("x.tsv", [b"a\tb", b"1\t2", b"1\t2\t3", b"4\t5"], "2 columns; name all columns in data.c"),
        ("x.csv", [b"a,b", b"1,2", b"\xff,3", b"4,5"], "is not UTF-8 text: byte 0xff at byte 8"),
        ("x.csv", [b"a,b", b"1,2", b'"x\n\xff",3', b"4,5"], "is not UTF-8 text: byte 0xff"),
        ("x.tsv", [b"a\tb", b"1\t2", b"\xff\t3", b"4\t5"], "is not UTF-8 text: byte 0xff at"),
        ("x.jsonl", [b"{}", b'{"a":1}', b"\0", b"{}"], "holds a NUL byte"),
        ("x.jsonl", [b"{}", b'{"a":1}', b"[1]", b"{}"], "is no object"),
        ("x.jsonl", [b"{}", b'{"a":1}', b'{"a":', b"{}"], "is no JSON: Expecting value"),
    ],
)
def test_a_row_at_fault_stops_or_is_left_out(name: str, lines: list[bytes], reason: str) -> None:
    data = b"\n".join(lines)
    with pytest.raises(DataError) as caught:
        rows(name, data)
    assert str(caught.value).startswith(f"/data/{name}: line ")
    assert reason in str(caught.value)
    faults = Faults("skip")
    kept = list(read_rows(of(name, data), faults))
    assert len(kept) == (3 if name.endswith("jsonl") else 2)
    ((place, why),) = faults.found
    assert place.startswith(f"{name} line ")
    assert reason in why


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.csv", b"\xff,b\n1,2\n", "x.csv: line 1 is not UTF-8 text"),
        ("x.csv", b"", "x.csv: is empty; wanted a line with the names of the columns"),
        ("x.csv", b'a,b\n1,2\n"3,4\n', "x.csv: after line 2: unexpected end of data"),
        ("x.json", b'{"a": 1}', r"x.json: wanted a list of objects: \[\{...\}, ...\]"),
        ("x.json", b'{"a": [], "b": []}', "wanted a list of objects"),
        ("x.json", b"[1]", "x.json: entry 1 is no object"),
        ("x.json", b"[", "x.json: is no JSON"),
        ("x.json", b'["\xff"]', "x.json: is not UTF-8 text: byte 0xff at byte 2"),
        ("x.json", b"[" * 200_000, "x.json: is no JSON"),
    ],
)
def test_tables_that_cannot_be_read(name: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(read_rows(of(name, data), Faults("skip")))
