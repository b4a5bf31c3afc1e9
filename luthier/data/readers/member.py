"""The members of an archive, read in memory within limits."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from luthier.data.faults import Faults
from luthier.data.image import MAX_BYTES, SUFFIXES
from luthier.data.readers.limits import check_declared
from luthier.errors import DataError

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")
READ_SUFFIXES = (*SUFFIXES, ".bin")
"""Members of other kinds are listed, but their bytes are left where they are."""
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    NotImplementedError,  # a way of packing that zipfile does not know
)
_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".tgz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".tar": open,
}


@dataclass(frozen=True)
class Member:
    """A file or a folder of an archive, in memory."""

    path: PurePosixPath
    name: str
    """What a person calls it: the archive and the path in it."""
    data: bytes = b""
    is_folder: bool = False

    def read(self) -> bytes:
        """Its bytes."""
        return self.data


@dataclass(frozen=True)
class _Entry:
    """What an archive says of a member."""

    name: str
    is_folder: bool
    problem: str | None
    open: Callable[[], IO[bytes] | None]


def is_archive(name: str) -> bool:
    """Whether a file's name is that of an archive that is read."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def read_members(
    archive: Path,
    faults: Faults,
    *,
    suffixes: tuple[str, ...] | None = READ_SUFFIXES,
    most_bytes: int = MAX_BYTES,
) -> Iterator[Member]:
    """The files and folders of an archive, without hidden ones.

    A link, a device or a path that leaves the archive's own folder becomes a fault. Nothing is
    written, so it could do no harm; but who packs such a thing is not to be trusted.

    Args:
        archive: A tar, packed or not, or a zip.
        faults: Takes up members that cannot be used.
        suffixes: Kinds of files whose bytes are read; none means all.
        most_bytes: Of a larger file, one byte more is read: enough to refuse it.

    Raises:
        DataError: If the archive is damaged, cannot be read, or unpacks to too much.
    """
    is_zip = archive.suffix.lower() == ".zip"
    seen: set[PurePosixPath] = set()
    try:
        for entry in _zip_entries(archive) if is_zip else _tar_entries(archive):
            path = PurePosixPath(entry.name)
            problem = entry.problem or _escape(entry.name)
            if not problem and path in seen and not entry.is_folder:
                problem = "is in the archive more than once"
            seen.add(path)
            if problem:
                faults.add(f"{archive.name}:{entry.name}", problem)
            elif path.parts and not any(p.startswith((".", "__MACOSX")) for p in path.parts):
                member = Member(path, f"{archive.name}:{path}", is_folder=entry.is_folder)
                wanted = suffixes is None or path.suffix.lower() in suffixes
                read = wanted and not entry.is_folder
                yield replace(member, data=_bytes(entry, most_bytes)) if read else member
    except _BROKEN as error:
        raise DataError(f"{archive}: is damaged or cut off: {error}") from None
    except OSError as error:
        raise DataError(f"{archive}: cannot be read: {error.strerror or error}") from None


def _bytes(entry: _Entry, most: int) -> bytes:
    file = entry.open()
    assert file is not None, "only folders and links have no bytes"
    with file:
        return file.read(most + 1)


def _escape(name: str) -> str | None:
    """What is wrong with a member's path, if it would not stay in its folder."""
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or drive:
        return "has a path that leaves the archive's folder"
    return None


class _Counted:
    """A file that refuses to give more bytes than an archive of this size may hold."""

    def __init__(self, file: IO[bytes], archive: Path) -> None:
        self._file = file
        self._archive = archive
        self._packed_bytes = archive.stat().st_size
        self._bytes = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._bytes += len(data)
        check_declared(self._archive, self._bytes, self._packed_bytes)
        return data


def _tar_entries(archive: Path) -> Iterator[_Entry]:
    with _OPENERS[archive.suffix.lower()](archive, "rb") as file:
        counted = cast(IO[bytes], _Counted(file, archive))
        with tarfile.open(fileobj=counted, mode="r|") as members:
            for count, member in enumerate(members):
                check_declared(archive, 0, 0, count)
                plain = (member.isreg() and not member.issparse()) or member.isdir()
                yield _Entry(
                    name=member.name,
                    is_folder=member.isdir(),
                    problem=None if plain else "is a link or a device, not a file",
                    open=lambda member=member: members.extractfile(member),  # type: ignore[misc]
                )


def _zip_entries(archive: Path) -> Iterator[_Entry]:
    with zipfile.ZipFile(archive) as members:
        entries = members.infolist()
        declared = sum(entry.file_size for entry in entries)
        check_declared(archive, declared, archive.stat().st_size, len(entries))
        for entry in entries:
            problem = None
            if entry.flag_bits & 1:
                problem = "is encrypted"
            elif stat.S_ISLNK(entry.external_attr >> 16):
                problem = "is a link or a device, not a file"
            yield _Entry(
                name=entry.filename,
                is_folder=entry.is_dir(),
                problem=problem,
                open=lambda entry=entry: members.open(entry),  # type: ignore[misc]
            )
