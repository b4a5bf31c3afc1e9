"""Files with text: in a folder, packed one by one, or in an archive; never unpacked to disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from luthier.data.faults import Faults
from luthier.data.readers.limits import check_declared
from luthier.data.readers.member import is_archive, read_members
from luthier.data.readers.place import below
from luthier.errors import DataError

MAX_MEMBER_BYTES = 2 * 2**30
_PACKED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@dataclass(frozen=True)
class Stored:
    """A file, wherever it lies."""

    path: PurePosixPath
    """Below the place that was named; without the suffix of its packing."""
    where: str
    """The whole path, for messages; of a member, the archive's and its own."""
    data: bytes | None = None
    """Of a member of an archive."""

    @classmethod
    def at(cls, file: Path, root: Path | None = None) -> Stored:
        """A file on disk, below `root` or by its name alone."""
        relative = file.relative_to(root) if root else Path(file.name)
        path = PurePosixPath(relative)
        return cls(path.with_suffix("") if path.suffix.lower() in _PACKED else path, str(file))

    @property
    def name(self) -> str:
        """What it is called in a message about one of its lines."""
        return self.path.name

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Its bytes, unpacked as they are read.

        Raises:
            DataError: If it cannot be read, is damaged, or unpacks to too much.
        """
        try:
            if self.data is not None:
                yield io.BytesIO(self.data)
                return
            opener = _PACKED.get(Path(self.where).suffix.lower())
            with (
                open(self.where, "rb") if opener is None else _unpacked(self.where, opener) as file
            ):
                yield file
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise DataError(f"{self.where}: is damaged or cut off: {error}") from None
        except OSError as error:
            raise DataError(f"{self.where}: cannot be read: {error.strerror or error}") from None


def stored_files(place: Path, faults: Faults) -> list[Stored]:
    """The file at `place`; or all that lie below it, where it is a folder or an archive.

    Sorted by path, without hidden ones. The one folder that all files of an archive lie in is
    left out of their paths.

    Raises:
        DataError: If the folder or the archive cannot be read, or is empty.
    """
    if place.is_dir():
        found = [
            Stored.at(place / relative, place)
            for relative, is_folder in below(place)
            if not is_folder
        ]
    elif is_archive(place.name):
        found = _members(place, faults)
    else:
        return [Stored.at(place)]
    if not found:
        raise DataError(f"{place}: holds no files")
    return sorted(found, key=lambda file: file.path)


def _members(archive: Path, faults: Faults) -> list[Stored]:
    found = []
    for member in read_members(archive, faults, suffixes=None, most_bytes=MAX_MEMBER_BYTES):
        if len(member.data) > MAX_MEMBER_BYTES:
            faults.add(member.name, f"is larger than {MAX_MEMBER_BYTES // 2**30} GiB")
        elif not member.is_folder:
            found.append(Stored(member.path, f"{archive}:{member.path}", member.data))
    tops = {file.path.parts[0] for file in found}
    if len(tops) == 1 and all(len(file.path.parts) > 1 for file in found):
        found = [
            Stored(PurePosixPath(*file.path.parts[1:]), file.where, file.data) for file in found
        ]
    return found


def _unpacked(path: str, opener: Callable[..., Any]) -> io.BufferedReader:
    return io.BufferedReader(_Counted(opener(path, "rb"), Path(path)), buffer_size=2**17)


class _Counted(io.RawIOBase):
    """A packed file that refuses to give more bytes than one of its size may hold."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self._packed_bytes = os.path.getsize(path)
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._bytes += len(data)
        check_declared(self._path, self._bytes, self._packed_bytes)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
