from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from luthier.data.readers.text import TextSpec
from luthier.data.recognise import recognise
from luthier.errors import DataError


def found_at(place: Path) -> TextSpec:
    found = recognise(place, "documents")
    assert isinstance(found, TextSpec)
    assert found.path == str(place)
    return found


def test_plain_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\u00e9" * 4000)
    (tmp_path / "story").write_text("詩" * 4000)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"text"))
    for name in ("a.txt", "story", "b.txt.gz", "."):
        assert "column" not in found_at(tmp_path / name).model_fields_set


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"text": "a", "label": "b"}, None),
        ({"id": 3, "story": "once upon a time"}, None),
        ({"title": "Dawn", "paragraphs": ["Spring sleep", "knows no dawn"]}, "paragraphs"),
    ],
)
def test_tables(tmp_path: Path, row: dict[str, object], column: str | None) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "b.json").write_text(json.dumps([row, row]))
    for name in ("a.jsonl", "b.json"):
        assert found_at(tmp_path / name).column == (column or "auto")


def test_tokens(tmp_path: Path) -> None:
    np.arange(9, dtype="<u2").tofile(tmp_path / "train.bin")
    assert found_at(tmp_path).paths == (str(tmp_path),)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.bin.gz.x", b"\0\1\2"),
        ("a.dat", b"abc\xff\xfe"),
        ("a.csv", b"x,y\n1,2\n"),
        ("a.json", b"{broken"),
        ("a.zip", b"PK"),
    ],
)
def test_what_is_no_text(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"is nothing that is known; looked for .* for a language"):
        recognise(tmp_path / name, "documents")


def test_notes_beside_other_data_are_not_the_data(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("pictures")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(DataError, match="is nothing that is known"):
        recognise(tmp_path, "documents")
