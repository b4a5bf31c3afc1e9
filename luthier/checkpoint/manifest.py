"""The manifest of a folder: what was written into it, so that any change shows.

Neither the safetensors format nor JSON protects its content: most single flipped bits in a file
of weights load as other weights, without a word. The manifest holds the size and the SHA-256 of
every file, and a seal: the SHA-256 of the rest of itself.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from luthier.checkpoint.document import from_json, to_json
from luthier.checkpoint.files import told
from luthier.errors import InputError, LuthierError

MANIFEST = "manifest.json"
FORMAT = "luthier folder"
VERSION = 1

_MOST_BYTES = 16 * 2**20
_CHUNK_BYTES = 2**20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class DamagedError(LuthierError):
    """A file that is not what was written."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(f"{file} {reason}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one file of a folder holds."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What the files of a folder hold, by their names."""

    files: Mapping[str, Entry]

    def to_bytes(self) -> bytes:
        """As it is written."""
        plain = {
            "format": FORMAT,
            "version": VERSION,
            "files": {
                name: {"bytes": entry.size_bytes, "sha256": entry.sha256}
                for name, entry in self.files.items()
            },
        }
        return to_json(_sealed(plain))

    @classmethod
    def of(cls, folder: Path) -> Manifest:
        """The manifest of `folder`, checked against its own seal.

        Raises:
            DamagedError: It is missing, or not what was written.
            InputError: A newer luthier wrote it.
            StorageError: It cannot be read.
        """
        with _opened(folder, MANIFEST) as file:
            data = file.read(_MOST_BYTES)
        try:
            plain = from_json(data)
        except ValueError as error:
            raise DamagedError(MANIFEST, f"is no JSON document: {error}") from None
        if not isinstance(plain, dict) or to_json(_sealed(plain)) != data:
            raise DamagedError(MANIFEST, "is not what was written: its seal does not fit")
        return cls(_entries(plain, folder))

    def verify(self, folder: Path) -> None:
        """Check every file against its entry.

        Raises:
            DamagedError: Naming the first file that is missing or differs, and how.
            StorageError: A file cannot be read.
        """
        for name, entry in self.files.items():
            _checked(name, entry, _digest(folder, name, entry.size_bytes))

    def read(self, folder: Path, name: str) -> bytearray:
        """The file `name`, checked as it is read.

        Raises:
            DamagedError: It is missing or differs.
            StorageError: It cannot be read.
        """
        assert name in self.files, f"no file {name} here, only {', '.join(self.files)}"
        entry = self.files[name]
        with _opened(folder, name) as file:
            _sized(name, file, entry.size_bytes)
            data = bytearray(entry.size_bytes)
            file.readinto(data)
        _checked(name, entry, hashlib.sha256(data).hexdigest())
        return data


def check_name(name: str) -> None:
    """Refuse a name that could mean another place, or hide."""
    assert _is_name(name), f"{name!r} cannot name a file of a folder"


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name != MANIFEST


def _sealed(plain: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in plain.items() if key != "seal"}
    return {**rest, "seal": hashlib.sha256(to_json(rest)).hexdigest()}


def _entries(plain: Mapping[str, Any], folder: Path) -> dict[str, Entry]:
    """The entries of a manifest whose seal fits; a stranger may have sealed what he liked."""
    match plain:
        case {"format": str(kind), "version": int(version), "files": dict(files)} if kind == FORMAT:
            if version > VERSION:
                raise InputError(
                    f"{folder} was written by a newer luthier (format {version}; this one reads"
                    f" {VERSION}): update luthier"
                )
        case _:
            raise DamagedError(MANIFEST, "is not the manifest of a folder of luthier")
    return {name: _entry(name, item) for name, item in files.items()}


def _entry(name: str, plain: Any) -> Entry:
    match plain:
        case {"bytes": int(size), "sha256": str(digest)} if (
            size >= 0 and _SHA256.fullmatch(digest) and _is_name(name)
        ):
            return Entry(size_bytes=size, sha256=digest)
    raise DamagedError(MANIFEST, f"has an entry that cannot be: {name!r}")


def _checked(name: str, entry: Entry, digest: str) -> None:
    if digest != entry.sha256:
        raise DamagedError(
            name, f"has the SHA-256 {digest[:12]}…, but the manifest says {entry.sha256[:12]}…"
        )


def _digest(folder: Path, name: str, size_bytes: int) -> str:
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    hasher = hashlib.sha256()
    with _opened(folder, name) as file:
        _sized(name, file, size_bytes)
        while count := file.readinto(buffer):
            hasher.update(buffer[:count])
    return hasher.hexdigest()


def _sized(name: str, file: BufferedReader, size_bytes: int) -> None:
    size = os.fstat(file.fileno()).st_size
    if size != size_bytes:
        raise DamagedError(name, f"has {size} bytes, but the manifest says {size_bytes}")


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[BufferedReader]:
    """A file to read. One that is gone, or that the disk cannot give back, is damaged."""
    with told("read", folder / name):
        try:
            # O_NONBLOCK: a pipe in the place of a file must not make us wait.
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise DamagedError(name, "is no regular file")
            with open(descriptor, "rb") as file:
                yield file
        except FileNotFoundError:
            raise DamagedError(name, "is missing") from None
        except OSError as error:
            if error.errno == errno.EIO:
                raise DamagedError(name, "cannot be read: the disk reports a fault") from error
            raise
