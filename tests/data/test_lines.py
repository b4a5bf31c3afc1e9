from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.faults import Faults
from luthier.data.readers.lines import read_lines
from luthier.data.readers.stored import Stored, stored_files
from luthier.errors import DataError

TEXT = "first\n第二行\r\n\nlast without an end"
LINES = ["first", "第二行", "", "last without an end"]


def of(data: bytes) -> Stored:
    return Stored(PurePosixPath("x.txt"), "x.txt", data)


def texts(file: Stored) -> list[str]:
    return [line.text for line in read_lines(file)]


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_packed_or_not(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"train.txt{suffix}"
    path.write_bytes(pack(TEXT.encode()))
    (file,) = stored_files(path, Faults())
    assert file.path == PurePosixPath("train.txt")
    assert texts(file) == LINES


def test_in_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("set/b.txt", TEXT)
        packed.writestr("set/a/c.dat", "c")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as packed:
        for name, data in (("set/b.txt", TEXT.encode()), ("set/a/c.dat", b"c")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
    for name in ("a.zip", "a.tar.gz"):
        files = stored_files(tmp_path / name, Faults())
        assert [str(file.path) for file in files] == ["a/c.dat", "b.txt"]
        assert texts(files[1]) == LINES
        assert files[1].where == f"{tmp_path / name}:set/b.txt"


def test_a_folder_is_sorted_and_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b/x.txt", "a.txt", ".hidden", "b/.git/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [str(file.path) for file in stored_files(tmp_path, Faults())] == ["a.txt", "b/x.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: holds no files"):
        stored_files(tmp_path / "empty", Faults())


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2"])
def test_a_damaged_packed_file_is_named(tmp_path: Path, suffix: str) -> None:
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}[suffix]
    path = tmp_path / f"x.txt{suffix}"
    path.write_bytes(pack(TEXT.encode() * 100)[:-12])
    with pytest.raises(DataError, match=f"x.txt{suffix}: (is damaged or cut off|cannot be read)"):
        texts(Stored.at(path))
    path.write_bytes(b"no such packing at all")
    with pytest.raises(DataError, match=f"x.txt{suffix}: (is damaged or cut off|cannot be read)"):
        texts(Stored.at(path))


def test_a_packed_file_that_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress(bytes(4_000_000)))
    monkeypatch.setattr("luthier.data.readers.limits.SMALL_BYTES", 1_000_000)
    with pytest.raises(DataError, match=r"x.txt.gz: .* looks like a bomb"):
        texts(Stored.at(path))


def test_what_is_wrong_with_a_line_is_told() -> None:
    good, bad, nul, last = read_lines(of("﻿ä\n".encode() + b"x\xed\xa0y\nz\0\nend"))
    assert good == (1, "ä", None)
    assert bad.problem == "is not UTF-8 text: byte 0xed at byte 7 of the file"
    assert nul.problem == "holds a NUL byte, at byte 12 of the file"
    assert last == (4, "end", None)
    for mark in (b"\xff\xfe", b"\xfe\xff"):
        with pytest.raises(DataError, match="is UTF-16 text; wanted UTF-8"):
            texts(of(mark + b"a\0"))


def test_an_endless_line_takes_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luthier.data.readers.lines.LONGEST_LINE_BYTES", 2**20)
    path = tmp_path / "x.txt"
    path.write_bytes(b"a" * 32 * 2**20 + b"\nnext\n")
    tracemalloc.start()
    first, second = read_lines(Stored.at(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (first.text, first.problem) == ("", "is longer than 1 MiB")
    assert second == (2, "next", None)
    assert peak < 4 * 2**20


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]))))
def test_lines_come_back(lines: list[str]) -> None:
    if lines and lines[0].startswith("\ufeff"):
        lines[0] = "x" + lines[0]  # a mark at the start of a file is none of its text
    found = texts(of("".join(line + "\n" for line in lines).encode()))
    assert found == lines
    assert texts(of("".join(line + "\r\n" for line in lines).encode())) == lines
