"""A folder that is written at once and never changed again: a checkpoint, a finished model.

    1.  make `.writing-NAME` beside the target
    2.  write each file, hashing it on the way; fsync it
    3.  write the manifest; fsync it
    4.  fsync the folder
    5.  rename it to NAME; where NAME exists already, that becomes `.replaced-NAME` first
    6.  fsync the folder around it; only now does the new one count
    7.  remove the replaced one

Whatever operation is the last before the machine dies, a reader afterwards finds the old content
or the new, whole: NAME, or `.replaced-NAME` between the two renames of step 5.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from luthier.checkpoint.document import from_json
from luthier.checkpoint.files import (
    DISK,
    WRITING,
    Files,
    Write,
    make_folders,
    remove_tree,
    told,
    write_new,
)
from luthier.checkpoint.manifest import MANIFEST, DamagedError, Entry, Manifest, check_name
from luthier.checkpoint.weights import tensors_of
from luthier.errors import InputError, StorageError

REPLACED = ".replaced-"
"""Begins the name of a whole folder that a newer one is about to replace."""

Content = bytes | Callable[[Write], None]
"""A file's content: its bytes, or what hands them over piece by piece."""


@dataclass(frozen=True)
class Folder:
    """A written folder; each file is checked against the manifest as it is read."""

    path: Path
    manifest: Manifest

    @property
    def names(self) -> tuple[str, ...]:
        """Its files, without the manifest."""
        return tuple(sorted(self.manifest.files))

    @property
    def size_bytes(self) -> int:
        """The bytes of its files, without the manifest."""
        return sum(entry.size_bytes for entry in self.manifest.files.values())

    def read(self, name: str) -> bytearray:
        """The content of a file.

        Raises:
            DamagedError: It is not what was written.
            StorageError: It cannot be read.
        """
        return self.manifest.read(self.path, name)

    def json(self, name: str) -> Any:
        """The content of a JSON file. Raises what `read` raises."""
        data = self.read(name)
        try:
            return from_json(data)
        except ValueError as error:
            raise DamagedError(name, f"is no JSON document: {error}") from None

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a safetensors file, on the CPU. Raises what `read` raises."""
        return tensors_of(self.read(name), name)

    def verify(self) -> None:
        """Check every file.

        Raises:
            DamagedError: Naming the first file that is not what was written, and how.
            StorageError: A file cannot be read.
        """
        self.manifest.verify(self.path)


def write_folder(target: Path, contents: Mapping[str, Content], files: Files = DISK) -> Folder:
    """Write or replace the folder `target`: afterwards it holds the new content, or the old.

    One writer at a time; the run's lock sees to that.

    Args:
        target: The folder. Its parents are made where they are missing.
        contents: The content of each file, by its name: flat, with a suffix, not hidden.
        files: The disk.

    Raises:
        StorageError: The disk refused. What was there before is whole, what was begun is removed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as run:
        ...     contents = {"labels.json": b"[]", "a.bin": lambda write: write(b"ab")}
        ...     folder = write_folder(Path(run) / "model", contents)
        ...     read_folder(folder.path).names
        ('a.bin', 'labels.json')
    """
    for name in contents:
        check_name(name)
    with told("write", target):
        has_place = target.parent.exists()
    if not has_place:
        make_folders(target.parent, files)
    settle(target, files)
    try:
        manifest = _write(target, contents, files)
        files.sync_folder(target.parent)
    except BaseException:
        with suppress(StorageError):  # the first failure is the one to tell
            settle(target, files)
        raise
    with suppress(StorageError):  # the new one counts; the next writer tries again to clear away
        settle(target, files)
    return Folder(target, manifest)


def read_folder(path: Path, *, verify: bool = True) -> Folder:
    """The folder that was written at `path`.

    Args:
        path: The folder.
        verify: Whether to check every file now; each is checked when it is read in any case.

    Raises:
        InputError: There is no folder, or a newer luthier wrote it.
        DamagedError: A file, named, is not what was written.
        StorageError: A file cannot be read.
    """
    replaced = path.with_name(REPLACED + path.name)
    with told("read", path):
        places = [place for place in (path, replaced) if place.is_dir()]
    if not places:
        raise InputError(f"there is no folder {path}")
    path = places[0]
    folder = Folder(path, Manifest.of(path))
    if verify:
        folder.verify()
    return folder


def settle(target: Path, files: Files = DISK) -> None:
    """Clear away what a writer of `target` that was cut off, or has just finished, left."""
    temporary = target.with_name(WRITING + target.name)
    replaced = target.with_name(REPLACED + target.name)
    if os.path.lexists(temporary):
        remove_tree(temporary, files)
    if os.path.lexists(replaced):
        if target.exists():
            files.sync_folder(target.parent)  # else losing power could bring it back half removed
            remove_tree(replaced, files)
        else:
            files.rename(replaced, target)
            files.sync_folder(target.parent)


def _write(target: Path, contents: Mapping[str, Content], files: Files) -> Manifest:
    temporary = target.with_name(WRITING + target.name)
    files.make_folder(temporary)
    entries = {
        name: write_hashed(temporary / name, content, files) for name, content in contents.items()
    }
    manifest = Manifest(entries)
    write_new(temporary / MANIFEST, lambda write: write(manifest.to_bytes()), files)
    files.sync_folder(temporary)
    if os.path.lexists(target):
        files.rename(target, target.with_name(REPLACED + target.name))
    files.rename(temporary, target)
    return manifest


def write_hashed(path: Path, content: Content, files: Files) -> Entry:
    """Writes a new file, and returns what a manifest says of it."""
    hasher = hashlib.sha256()
    size_bytes = 0

    def hashed(write: Write) -> None:
        def both(data: bytes | memoryview) -> None:
            nonlocal size_bytes
            write(data)
            hasher.update(data)
            size_bytes += memoryview(data).nbytes

        if isinstance(content, bytes):
            both(content)
        else:
            content(both)

    write_new(path, hashed, files)
    return Entry(size_bytes=size_bytes, sha256=hasher.hexdigest())
