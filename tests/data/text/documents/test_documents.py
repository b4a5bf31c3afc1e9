"""Files of any form, read to documents."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import luthier.data.text.documents.documents as documents_module
from luthier.data.readers.text import TextSpec
from luthier.data.text.documents.spool import Spool
from luthier.data.text.documents.survey import Survey, repeated, survey
from luthier.errors import DataError

POEMS = [
    {"author": "李白", "title": "靜夜思", "paragraphs": ["牀前明月光，", "疑是地上霜。"]},
    {"author": "王之渙", "title": "登鸛雀樓", "paragraphs": ["白日依山盡，", "黃河入海流。"]},
]
LINES = ["床前明月光，\n疑是地上霜。", "", "one\ttwo", 'a "quoted", text', " spaces "]


def texts_of(found: Survey) -> list[str]:
    return documents_of(found.spool)


def documents_of(spool: Spool) -> list[str]:
    data = spool.path.read_bytes()
    spans = zip(spool.spans.starts.tolist(), spool.spans.stops.tolist(), strict=True)
    return [data[start:stop].decode() for start, stop in spans]


def read(path: Path | str | list[str], **how: Any) -> Survey:
    how = {"split": {"validation": 0}, **how}
    given = path if isinstance(path, list) else str(path)
    spec = TextSpec.model_validate({"kind": "text", "path": given, **how})
    faults = spec.faults()
    where = Path(spec.paths[0])
    folder = where if where.is_dir() else where.parent
    found = survey(spec, folder.parent / "spool", faults, None, lambda _: None)
    found_faults.clear()
    found_faults.extend(faults.found)
    return found


found_faults: list[tuple[str, str]] = []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    return folder


def test_a_file_is_one_document(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfFirst\r\n\r\nSecond\rline\r\n")
    assert texts_of(read(folder / "a.txt")) == ["First\n\nSecond\rline\n"]


CONTENT = st.text(st.sampled_from("ab \n\r\u00e9詩"), max_size=40)


def check_units(folder: Path, content: str) -> None:
    (folder / "a.txt").write_text(content, encoding="utf-8", newline="")
    ends = content.replace("\r\n", "\n")
    lines = ends.split("\n")
    wanted = [line for line in lines if line.strip(" \r")]
    if wanted:
        got = texts_of(read(folder / "a.txt", document="line"))
        # A carriage return that ends the file may go with the line end that never came.
        assert [text.strip("\r") for text in got] == [line.strip("\r") for line in wanted]
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip(" \r"):
            blocks[-1].append(line)
        else:
            blocks.append([])
    wanted = ["\n".join(block) for block in blocks if block]
    if wanted:
        got = texts_of(read(folder / "a.txt", document="blank_line"))
        assert [text.strip("\r") for text in got] == [block.strip("\r") for block in wanted]


@given(content=CONTENT)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_lines_and_blocks(folder: Path, content: str) -> None:
    check_units(folder, content)


@given(content=CONTENT)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_lines_and_blocks_in_small_parts(folder: Path, content: str) -> None:
    """As where a line is longer than what is read at once."""
    assume(not any(len(line) >= 3 and not line.strip() for line in content.split("\n")))
    whole = documents_module.PART_BYTES
    documents_module.PART_BYTES = 3
    try:
        check_units(folder, content)
    finally:
        documents_module.PART_BYTES = whole


@pytest.mark.parametrize("form", ["jsonl", "ndjson", "json", "json lines", "csv", "tsv", "parquet"])
def test_tables(folder: Path, form: str) -> None:
    texts = LINES if form not in ("tsv",) else [text for text in LINES if "\n" not in text]
    texts = [text.replace("\t", " ") for text in texts] if form == "tsv" else texts
    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    path = folder / f"a.{form.split()[0]}"
    if form == "json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif form in ("jsonl", "ndjson", "json lines"):
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "text"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("id\ttext\n" + "".join(f"{r['id']}\t{r['text']}\n" for r in rows))
    found = read(path)
    assert texts_of(found) == [text for text in texts if text]
    assert found.spool.empty == 1
    assert "1 empty one left out" in found.recognised
    (decision,) = found.decisions
    assert (decision.place, decision.value) == ("data.column", "text")


def test_a_list_of_lines_is_joined(folder: Path) -> None:
    (folder / "p.json").write_text(json.dumps(POEMS, ensure_ascii=False), encoding="utf-8")
    got = texts_of(read(folder / "p.json", column="paragraphs"))
    assert got[0] == "牀前明月光，\n疑是地上霜。"
    got = texts_of(read(folder / "p.json", column=["title", "paragraphs"]))
    assert got[1] == "登鸛雀樓\n白日依山盡，\n黃河入海流。"


def test_the_column_with_texts_is_recognised(folder: Path) -> None:
    path = folder / "a.csv"
    path.write_text("year,story\n1990,once upon\n1991,a time\n")
    found = read(path)
    assert texts_of(found) == ["once upon", "a time"]
    assert found.decisions[0].reason == "the only column with texts"


def test_columns_that_are_not_clear(folder: Path) -> None:
    path = folder / "p.json"
    path.write_text(json.dumps(POEMS), encoding="utf-8")
    with pytest.raises(DataError, match=r"texts in author, title, paragraphs; say which: data.col"):
        read(path)
    with pytest.raises(DataError, match=r'no column "paragraf".*did you mean "paragraphs"\?'):
        read(path, column="paragraf")
    (folder / "n.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(DataError, match="no column with texts; it has a"):
        read(folder / "n.jsonl")


def test_rows_that_cannot_be_used(folder: Path) -> None:
    path = folder / "a.jsonl"
    rows = ['{"text": "good"}', "{broken", '{"text": 5}', '{"txt": "x"}', '{"text": "\\ud800"}']
    path.write_bytes("\n".join(rows).encode() + b'\n{"text": "\xff"}\n{"text": "too"}\n')
    with pytest.raises(DataError, match=r"5 \w+ cannot be used:\n.*line 2.*is no JSON") as error:
        read(path)
    assert 'has 5 as "text"; wanted a text' in str(error.value)
    assert 'has no "text"' in str(error.value)
    assert "surrogate pair" in str(error.value)
    assert "is not UTF-8 text: byte 0xff at byte" in str(error.value)
    assert texts_of(read(path, on_error="skip")) == ["good", "too"]
    assert sorted(name for name, _ in found_faults) == [f"a.jsonl line {n}" for n in range(2, 7)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"abc\r\n\xffdef", r"byte 0xff at byte 5; save it as UTF-8"),
        (b"abc\xe8\xa9", r"byte 0xe8 at byte 3"),
        (b"ab\0c", r"holds a NUL byte, at byte 2: it is no text"),
        ("text".encode("utf-16"), r"is UTF-16 text; save it as UTF-8"),
    ],
)
def test_files_that_are_no_text(folder: Path, content: bytes, message: str) -> None:
    (folder / "a.txt").write_bytes(content)
    (folder / "b.txt").write_text("good")
    with pytest.raises(DataError, match=r"a\.txt: .*" + message):
        read(folder)
    assert texts_of(read(folder, on_error="skip")) == ["good"]
    assert [name for name, _ in found_faults] == ["a.txt"]


def test_the_place_of_a_bad_byte_is_told_across_parts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents_module, "PART_BYTES", 4)
    (folder / "a.txt").write_bytes("ab詩詩".encode() + b"\xe8\xa9" + b"x")
    with pytest.raises(DataError, match="byte 0xe8 at byte 8"):
        read(folder / "a.txt")
    (folder / "a.txt").write_bytes(b"good\nb\xffd\nmore\n")
    assert texts_of(read(folder / "a.txt", document="line", on_error="skip")) == ["good", "more"]


@pytest.mark.parametrize("packing", [gzip, bz2, lzma])
def test_packed_files(folder: Path, packing: Any) -> None:
    suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[packing]
    with packing.open(folder / f"a.txt.{suffix}", "wb") as file:
        file.write(b"one\ntwo\n")
    assert texts_of(read(folder, document="line")) == ["one", "two"]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "zip"])
def test_archives(folder: Path, suffix: str) -> None:
    inside = {
        "set/a.json": json.dumps([{"text": "from json"}]),
        "set/b.txt": "from text",
        "set/README.md": "about",
        "set/c.png": "picture",
    }
    place = folder / f"all.{suffix}"
    source = folder / "source"
    for name, content in inside.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(content)
    if suffix == "zip":
        with zipfile.ZipFile(place, "w") as archive:
            for name in inside:
                archive.write(source / name, name)
    else:
        with tarfile.open(place, f"w:{suffix.partition('.')[2]}") as archive:
            for name in inside:
                archive.add(source / name, name)
    assert texts_of(read(place)) == ["from json", "from text"]


def test_a_damaged_archive_is_told(folder: Path) -> None:
    (folder / "a.txt.gz").write_bytes(gzip.compress(b"text" * 999)[:-9])
    with pytest.raises(DataError, match=r"a\.txt\.gz: is damaged or cut off"):
        read(folder / "a.txt.gz")
    (folder / "b.txt").write_text("good")
    assert texts_of(read(folder, on_error="skip")) == ["good"]


def test_folders_patterns_and_lists(folder: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/c.txt", "notes.md", "LICENSE", "x.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    assert texts_of(read(folder)) == ["a.txt", "b.txt", "deep/c.txt"]
    assert "3 files of other kinds left aside" in read(folder).recognised
    assert texts_of(read(folder / "*.txt")) == ["a.txt", "b.txt"]
    assert texts_of(read(folder / "**/*.txt")) == ["a.txt", "b.txt", "deep/c.txt"]
    listed = [str(folder / "b.txt"), str(folder / "deep"), str(folder / "*.txt")]
    assert texts_of(read(listed)) == ["b.txt", "deep/c.txt", "a.txt"]
    assert texts_of(read(folder / "notes.md")) == ["notes.md"]
    assert texts_of(read(folder / "LICENSE")) == ["LICENSE"]


def test_a_folder_of_notes_alone(folder: Path) -> None:
    (folder / "a.md").write_text("a note")
    assert texts_of(read(folder)) == ["a note"]


def test_places_with_nothing_to_read(folder: Path) -> None:
    with pytest.raises(DataError, match="holds nothing that can be read; wanted texts"):
        read(folder)
    with pytest.raises(DataError, match=r"\*\.txt: matches no file"):
        read(folder / "*.txt")
    (folder / "story.txt").write_text("")
    with pytest.raises(DataError, match=r'stori\.txt: does not exist.*did you mean "story.txt"\?'):
        read(folder / "stori.txt")
    with pytest.raises(DataError, match=r"there is no text that can be used: all are empty"):
        read(folder / "story.txt")


def test_settings_that_nothing_is_read_with(folder: Path) -> None:
    (folder / "a.txt").write_text("text")
    (folder / "b.jsonl").write_text('{"text": "t"}\n')
    with pytest.raises(DataError, match=r"data.column: got body, but .* has no table; leave it"):
        read(folder / "a.txt", column="body")
    with pytest.raises(DataError, match=r"data.document: got line, but .* has no plain text"):
        read(folder / "b.jsonl", document="line")
    assert len(texts_of(read(folder, column="text", document="line"))) == 2


def test_a_limit_for_each_split(folder: Path) -> None:
    (folder / "train.txt").write_text("a\nb\nc\n")
    (folder / "val.txt").write_text("d\ne\n")
    found = read(folder, document="line", limit=2, split={})
    assert texts_of(found) == ["a", "b", "d", "e"]
    assert {name: len(spans) for name, spans in found.division.splits.items()} == {
        "train": 2,
        "validation": 2,
    }


def test_equal_texts_are_told(folder: Path) -> None:
    (folder / "train.txt").write_text("a\nb\na\n")
    (folder / "val.txt").write_text("b\nc\n")
    found = list(repeated(read(folder, document="line", split={})))
    assert [(finding.severity, finding.message) for finding in found] == [
        ("note", "1 text to train on came before, word for word"),
        (
            "warning",
            "1 of 2 validation texts are training texts, too: what is measured on them says little",
        ),
    ]


def test_progress_reaches_its_end(folder: Path) -> None:
    (folder / "a.txt").write_text("text " * 100)
    (folder / "b.txt").write_text("text")
    spec = TextSpec(path=str(folder))
    told: list[int] = []
    survey(spec, folder.parent / "spool", spec.faults(), None, told.append)
    assert told == [500, 504]
    assert np.all(np.diff(told) > 0)
