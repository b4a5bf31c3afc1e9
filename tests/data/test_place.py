from __future__ import annotations

from pathlib import Path

import pytest

from luthier.data.readers.place import existing, folder_at, names
from luthier.errors import DataError


def test_a_place_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    assert folder_at("pets", "a folder") == tmp_path / "pets"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert existing("~/pets", "a folder") == tmp_path / "pets"


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read: .*null"):
        existing("a\0b", "a folder")
    with pytest.raises(DataError, match=r"cannot be read: File name too long"):
        existing("x" * 5000, "a folder")
    with pytest.raises(DataError, match=r"/no/where: does not exist; wanted a folder$"):
        existing("/no/where", "a folder")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file: is a file; wanted a folder"):
        folder_at(str(tmp_path / "file"), "a folder")
    with pytest.raises(DataError, match=r"file: cannot be read: Not a directory"):
        names(tmp_path / "file")


def test_hidden_names_are_left_out(tmp_path: Path) -> None:
    for name in ("b", "a", ".git", "__MACOSX"):
        (tmp_path / name).mkdir()
    assert names(tmp_path) == ["a", "b"]
