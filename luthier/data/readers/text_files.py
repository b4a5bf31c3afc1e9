"""The files that a source of documents names: by a file, a folder, a pattern, or several."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from luthier.data.faults import Faults
from luthier.data.readers.member import ARCHIVE_SUFFIXES, is_archive, read_members
from luthier.data.readers.place import below, existing
from luthier.data.readers.splits import about_the_data
from luthier.data.readers.stored import MAX_MEMBER_BYTES, Stored
from luthier.errors import DataError

Form = Literal["plain", "table", "tokens"]
"""plain: text as it stands · table: rows with columns · tokens: whole numbers of 16 bits."""

PLAIN_SUFFIXES = (".txt", ".text", ".md")
ROW_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
TOKENS_SUFFIX = ".bin"
_PACKINGS = (".gz", ".bz2", ".xz")
_WANTED = (
    f"texts ({', '.join(PLAIN_SUFFIXES)}), tables ({', '.join(ROW_SUFFIXES)}), either of them "
    f"packed ({', '.join(_PACKINGS)}) or in an archive ({', '.join(ARCHIVE_SUFFIXES)}), or tokens "
    f"({TOKENS_SUFFIX})"
)


@dataclass(frozen=True)
class TextFile:
    """A file, or an archive of files."""

    path: Path
    shown: PurePosixPath
    """Below the folder that was named, where one was."""


@dataclass(frozen=True)
class TextFiles:
    """What a recipe's path names."""

    files: tuple[TextFile, ...]
    aside: int
    """Files of other kinds that lie beside them."""

    @property
    def size_bytes(self) -> int:
        """Of all, as they lie."""
        return sum(file.path.stat().st_size for file in self.files)


def text_files(paths: Sequence[str]) -> TextFiles:
    """The files, in the order of `paths` and sorted within each.

    In a folder, files of known kinds count; those that tell about data (README, .md) only where
    there is nothing else.

    Raises:
        DataError: If something is not there, or nothing of it can be read.
    """
    found: dict[Path, TextFile] = {}
    aside = 0
    for path in paths:
        files, others = _named(path)
        found.update((file.path, file) for file in files)
        aside += others
    return TextFiles(tuple(found.values()), aside)


def _named(path: str) -> tuple[list[TextFile], int]:
    if glob.has_magic(path) and not os.path.exists(os.path.expanduser(path)):
        pattern = os.path.abspath(os.path.expanduser(path))
        fixed = Path(re.split(r"[*?\[]", pattern)[0] + "_").parent
        matches = (Path(name) for name in sorted(glob.glob(pattern, recursive=True)))
        files = [TextFile(file, _below(file, fixed)) for file in matches if file.is_file()]
        if not files:
            raise DataError(f"{pattern}: matches no file; wanted {_WANTED}")
        return files, 0
    place = existing(path, _WANTED)
    if not place.is_dir():
        return [TextFile(place, PurePosixPath(place.name))], 0
    inside = [relative for relative, is_folder in below(place) if not is_folder]
    known = [relative for relative in inside if form_of(relative.name) or is_archive(relative.name)]
    kept = [relative for relative in known if not about_the_data(relative)]
    if not kept and all(map(about_the_data, inside)):
        kept = known
    if not kept:
        raise DataError(f"{place}: holds nothing that can be read; wanted {_WANTED}")
    return [TextFile(place / relative, relative) for relative in kept], len(inside) - len(kept)


def _below(file: Path, folder: Path) -> PurePosixPath:
    return PurePosixPath(file.relative_to(folder))


def form_of(name: str) -> Form | None:
    """What a file holds, by its name; none if it says nothing.

    Example:
        >>> form_of("a.txt"), form_of("b.JSONL.gz"), form_of("train.bin"), form_of("c.png")
        ('plain', 'table', 'tokens', None)
    """
    suffix = _unpacked_suffix(name)
    if suffix in PLAIN_SUFFIXES:
        return "plain"
    if suffix in ROW_SUFFIXES:
        return "table"
    return "tokens" if suffix == TOKENS_SUFFIX else None


def _unpacked_suffix(name: str) -> str:
    path = PurePosixPath(name.lower())
    return path.with_suffix("").suffix if path.suffix in _PACKINGS else path.suffix


def opened(file: TextFile, faults: Faults) -> Iterator[tuple[Stored, Form]]:
    """The file itself; or the texts and tables of an archive, one by one, in its own order.

    A file of an unknown kind is read as plain text: who names it knows why.

    Raises:
        DataError: If it cannot be read, or an archive has nothing that can be.
    """
    if not is_archive(file.path.name):
        stored = replace(Stored.at(file.path), path=file.shown)
        if file.shown.suffix.lower() in _PACKINGS:
            stored = replace(stored, path=file.shown.with_suffix(""))
        yield stored, form_of(file.path.name) or "plain"
        return
    count = 0
    suffixes = (*PLAIN_SUFFIXES, *ROW_SUFFIXES)
    for member in read_members(file.path, faults, suffixes=suffixes, most_bytes=MAX_MEMBER_BYTES):
        form = form_of(member.path.name)
        if member.is_folder or form not in ("plain", "table") or about_the_data(member.path):
            continue
        count += 1
        if len(member.data) > MAX_MEMBER_BYTES:
            faults.add(member.name, f"is larger than {MAX_MEMBER_BYTES // 2**30} GiB; unpack it")
            continue
        where = f"{file.path}:{member.path}"
        yield Stored(file.shown.parent / member.path, where, member.data), form
    if not count:
        raise DataError(f"{file.path}: holds no text and no table ({', '.join(suffixes)})")
