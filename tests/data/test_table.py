from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers.table import ImageTableSpec
from luthier.errors import DataError


@pytest.fixture
def folder(paint, tmp_path: Path) -> Path:
    for number in range(12):
        paint(f"table/pics/{number}.png", seed=number)
    return tmp_path / "table"


ROWS = [{"file_name": f"pics/{n}.png", "label": "yes" if n % 2 else "no"} for n in range(12)]


def write_csv(path: Path, rows: list[dict[str, str]], separator: str = ",") -> None:
    lines = [separator.join(rows[0]), *(separator.join(map(str, row.values())) for row in rows)]
    path.write_text("\n".join(lines))


def write(folder: Path, form: str, rows: list[dict[str, object]]) -> None:
    path = folder / f"metadata.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    else:
        write_csv(path, rows, "\t" if form == "tsv" else ",")


def spec(path: Path, **settings: object) -> ImageTableSpec:
    return ImageTableSpec(path=str(path), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet"])
def test_each_format(folder: Path, form: str) -> None:
    write(folder, form, ROWS)
    data = prepare_pictures(spec(folder), seed=0)
    assert data.target.names == ("no", "yes")  # and no is no false
    for row in range(len(data.train)):
        number = int(Path(data.train.name(row)).stem)
        assert data.train.labels[row] == number % 2
    table = folder / f"metadata.{form}"
    assert data.recognised == f"table {table}: 12 train pictures of 2 classes"
    assert prepare_pictures(spec(table), seed=0).fingerprint == data.fingerprint


def test_numbers_are_labels_in_their_order(folder: Path) -> None:
    write(folder, "jsonl", [{**row, "label": 12 - n} for n, row in enumerate(ROWS)])
    assert prepare_pictures(spec(folder, split={"test": 0, "validation": 0}), seed=0).target.names[
        :3
    ] == (
        "1",
        "2",
        "3",
    )


def test_other_columns_and_a_split_column(folder: Path) -> None:
    rows = [
        {"image": row["file_name"], "what": row["label"], "part": "test" if n > 7 else "train"}
        for n, row in enumerate(ROWS)
    ]
    write(folder, "csv", rows)
    columns = {"file_column": "image", "label_column": "what", "split_column": "part"}
    data = prepare_pictures(spec(folder, **columns, split={"validation": 0}), seed=0)
    assert (len(data.train), len(data.test or ())) == (8, 4)
    with pytest.raises(
        DataError, match=r'has no column "file_name" \(data.file_column\); valid: image, part, what'
    ):
        prepare_pictures(spec(folder), seed=0)
    with pytest.raises(DataError, match=r'no column "imag" .*; did you mean "image"\?'):
        prepare_pictures(spec(folder, file_column="imag"), seed=0)
    rows[3]["part"] = "train2"
    write(folder, "csv", rows)
    with pytest.raises(DataError, match=r'has the split "train2" \(metadata.csv line 5\); wanted'):
        prepare_pictures(spec(folder, **columns), seed=0)


def test_a_table_in_each_split_folder(paint, tmp_path: Path) -> None:
    for number, split in enumerate(("train", "test")):
        for n in range(4):
            paint(f"hub/{split}/{n}.png", seed=10 * number + n)
        rows = [{"file_name": f"{n}.png", "label": "ab"[n % 2]} for n in range(4)]
        write(tmp_path / "hub" / split, "csv", rows)
    data = prepare_pictures(spec(tmp_path / "hub", split={"validation": 0}), seed=0)
    assert (len(data.train), len(data.test or ())) == (4, 4)
    assert data.recognised.startswith(f"table 2 tables in {tmp_path / 'hub'}: 4 train and 4 test")


def test_pictures_elsewhere(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    write(tmp_path / "tables", "csv", ROWS)
    assert len(prepare_pictures(spec(tmp_path / "tables", root=str(folder)), seed=0).train) == 8


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"file_name": "pics/99.png", "label": "no"}, r"pics/99.png: does not exist in .*line 2"),
        ({"file_name": "../x.png", "label": "no"}, r"../x.png: leaves the folder .*set data.root"),
        ({"file_name": "/etc/passwd", "label": "no"}, r"/etc/passwd: leaves the folder"),
        ({"file_name": "a\0b.png", "label": "no"}, r"leaves the folder"),
        ({"file_name": "x" * 300, "label": "no"}, r"x{300}: does not exist"),
        ({"file_name": "", "label": "no"}, r'line 2: names no file in the column "file_name"'),
        ({"file_name": "pics/1.png", "label": ""}, r"pics/1.png: has nothing as its label"),
        (
            {"file_name": "pics/1.png", "label": None},
            r"has nothing as its label \(metadata.jsonl l",
        ),
        (
            {"file_name": "pics/1.png", "label": 1.5},
            r"has 1.5 as its label .*wanted a name or a who",
        ),
        ({"file_name": "pics/1.png", "label": True}, r"has True as its label"),
    ],
)
def test_rows_that_cannot_be_used(folder: Path, row: dict[str, object], reason: str) -> None:
    write(folder, "jsonl", [ROWS[0], row, *ROWS[1:]])
    with pytest.raises(DataError, match=reason):
        prepare_pictures(spec(folder), seed=0)
    data = prepare_pictures(spec(folder, on_error="skip"), seed=0)
    assert len(data.skipped) == 1
    assert len(data.train) == 8


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", b"", "is empty; wanted a line with the names of the columns"),
        ("metadata.csv", b"file_name,label\n", "holds no rows that can be used"),
        ("metadata.csv", b"file_name,file_name\na,b\n", "two columns have the same name"),
        ("metadata.csv", b"file_name,label\na,b,c\n", "line 2 has more values than the 2 columns"),
        ("metadata.csv", b'file_name,label\n"a,b\n', "after line 1: unexpected end of data"),
        ("metadata.csv", b"file_name,label\n\xff\xfe,b\n", "is not UTF-8 text"),
        ("metadata.jsonl", b"{}\n", 'has no column "file_name"'),
        ("metadata.jsonl", b'{"file_name": 1', "line 1 is no JSON"),
        ("metadata.jsonl", b"[1]\n", r"line 1 is no object; wanted \{...\}"),
        ("metadata.jsonl", b"[" * 100_000, "line 1 is no JSON"),
        ("metadata.parquet", b"PAR1 nonsense", "is no usable Parquet file"),
    ],
)
def test_broken_tables(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        prepare_pictures(spec(folder), seed=0)
    assert str(folder / name) in str(caught.value)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_that_is_too_large(
    folder: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, form, [{**row, "note": str(n) * 5000} for n, row in enumerate(ROWS)])
    limit = 10_000 if form == "parquet" else 100
    monkeypatch.setattr("luthier.data.readers.rows.MAX_TABLE_BYTES", limit)
    with pytest.raises(DataError, match=r"metadata\.\w+: (is larger|unpacks to more) than 0 GiB"):
        prepare_pictures(spec(folder), seed=0)


def test_places_without_a_table(folder: Path) -> None:
    with pytest.raises(DataError, match=r"has no metadata.csv, .tsv, .jsonl or .parquet"):
        prepare_pictures(spec(folder), seed=0)
    with pytest.raises(DataError, match=r"0.png: wanted a table: .csv, .tsv"):
        prepare_pictures(spec(folder / "pics" / "0.png"), seed=0)
    write(folder, "csv", ROWS)
    write(folder, "jsonl", ROWS)
    with pytest.raises(DataError, match=r"has metadata.csv and metadata.jsonl; name the one"):
        prepare_pictures(spec(folder), seed=0)


def test_a_label_outside_the_list(folder: Path) -> None:
    write(folder, "csv", ROWS)
    with pytest.raises(
        DataError, match=r'pics/1.png: has the label "yes", which is not in data.cl'
    ):
        prepare_pictures(spec(folder, classes=("no", "perhaps")), seed=0)


def test_a_changed_picture_is_decoded_again(folder: Path, paint) -> None:
    write(folder, "csv", ROWS)
    before = prepare_pictures(spec(folder), seed=0).fingerprint
    paint("table/pics/3.png", seed=77)
    assert prepare_pictures(spec(folder), seed=0).fingerprint != before
