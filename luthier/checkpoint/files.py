"""The file-system operations that the writers use, and the smallest protocol on them.

Every change that a checkpoint, a finished model or a marker makes to the disk is one call of
`Files`. So a test can fail, record or kill each single one of them, and there is one place that
turns what the operating system says into a sentence for the user.

On macOS fsync reaches the drive, but the drive may still hold the data in its own memory.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from luthier.errors import StorageError

Verb = Literal[
    "make_folder",
    "create",
    "write",
    "sync",
    "close",
    "rename",
    "sync_folder",
    "remove",
    "remove_folder",
]

Write = Callable[[bytes | memoryview], None]
"""Takes the next bytes of a file."""

WRITING = ".writing-"
"""Begins the name of whatever is not finished; a writer that dies leaves it behind."""


@dataclass(frozen=True)
class Operation:
    """One change of the disk, about to be made."""

    verb: Verb
    path: Path
    target: Path | None = None
    """The new name, where the verb is rename."""
    data: bytes | memoryview = b""
    """What is appended, where the verb is write."""


Watch = Callable[[Operation], None]
"""Sees each operation just before it is made; an OSError that it raises is the disk's own."""


@dataclass(frozen=True)
class OpenFile:
    """A file that is being written."""

    path: Path
    descriptor: int


class Files:
    """The disk. Each method is one operation; each failure is a StorageError.

    Args:
        watch: Called before each operation; for tests, and for tracing.
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self._watch = watch

    def make_folder(self, path: Path) -> None:
        """Make an empty folder; its parent exists, it does not."""
        with self._told(Operation("make_folder", path), "make the folder"):
            os.mkdir(path)

    def create(self, path: Path) -> OpenFile:
        """Open a new file for writing. One that exists, or a link, is an error."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with self._told(Operation("create", path), "make"):
            return OpenFile(path, os.open(path, flags, 0o666))

    def write(self, file: OpenFile, data: bytes | memoryview) -> None:
        """Append `data`, all of it."""
        left = memoryview(data).cast("B")
        with self._told(Operation("write", file.path, data=left), "write"):
            while left:
                left = left[os.write(file.descriptor, left) :]

    def sync(self, file: OpenFile) -> None:
        """Wait until the file's bytes are on the disk."""
        with self._told(Operation("sync", file.path), "write"):
            os.fsync(file.descriptor)

    def close(self, file: OpenFile) -> None:
        """Close the file; some file systems report a full disk only now."""
        with told("write", file.path):
            try:
                self._see(Operation("close", file.path))
            finally:
                os.close(file.descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give `source` the name `target`, in the same folder."""
        with self._told(Operation("rename", source, target), "rename"):
            os.rename(source, target)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in the folder are on the disk."""
        with self._told(Operation("sync_folder", path), "write to the folder"):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        with self._told(Operation("remove", path), "remove"):
            os.unlink(path)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        with self._told(Operation("remove_folder", path), "remove the folder"):
            os.rmdir(path)

    @contextmanager
    def _told(self, operation: Operation, doing: str) -> Iterator[None]:
        with told(doing, operation.path):
            self._see(operation)
            yield

    def _see(self, operation: Operation) -> None:
        if self._watch is not None:
            self._watch(operation)


DISK = Files()
"""The disk, unwatched."""


def write_file(path: Path, data: bytes, files: Files = DISK) -> None:
    """Write or replace one file: afterwards it holds all of `data`, or what it held before.

    One writer at a time.

    Raises:
        StorageError: The disk refused; the file is whole, as a rule the old one.
    """
    temporary = path.with_name(WRITING + path.name)
    if os.path.lexists(temporary):
        files.remove(temporary)
    try:
        write_new(temporary, lambda write: write(data), files)
        files.rename(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            with suppress(StorageError):  # the first failure is the one to tell
                files.remove(temporary)
        raise
    files.sync_folder(path.parent)


def write_new(path: Path, content: Callable[[Write], None], files: Files) -> None:
    """Write a new file and wait until its bytes, though not its name, are on the disk."""
    file = files.create(path)
    try:
        content(lambda data: files.write(file, data))
        files.sync(file)
    except BaseException:
        os.close(file.descriptor)
        raise
    files.close(file)


def make_folders(path: Path, files: Files = DISK) -> None:
    """Make a folder and its missing parents, and wait until their names are on the disk."""
    path = path.absolute()
    with told("make the folder", path):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    around = missing[-1].parent.parent if missing else path.parent
    # The deepest that exists may have been made by a process that died before it could sync; one
    # in a folder that we may not write to was not.
    if os.access(around, os.R_OK | os.W_OK):
        files.sync_folder(around)
    for folder in reversed(missing):
        files.make_folder(folder)
        files.sync_folder(folder.parent)


def remove_tree(path: Path, files: Files = DISK) -> None:
    """Remove a file, or a folder with all that is in it; links are removed, not followed."""
    if path.is_symlink() or not path.is_dir():
        files.remove(path)
        return
    with told("read the folder", path):
        entries = sorted(path.iterdir())
    for entry in entries:
        remove_tree(entry, files)
    files.remove_folder(path)


@contextmanager
def told(doing: str, path: Path) -> Iterator[None]:
    """Turns what the operating system says inside into a sentence: cannot `doing` `path`: …."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot {doing} {path}: {_because(error, path)}") from error


def free_bytes(path: Path) -> int:
    """The bytes that may still be written where `path` is, or is to be."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free


def shown_bytes(count: int) -> str:
    """`count` as people read it.

    Example:
        >>> shown_bytes(412_000_000), shown_bytes(96_000), shown_bytes(12)
        ('412.0 MB', '96.0 kB', '12 bytes')
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _because(error: OSError, path: Path) -> str:
    system = (error.strerror or str(error)).lower()
    match error.errno:
        case errno.ENOSPC:
            free = shown_bytes(free_bytes(path))
            return f"the disk is full ({free} free); free some space, then run again"
        case errno.EDQUOT:
            return "your quota on this disk is used up; free some space, then run again"
        case errno.EFBIG:
            return "the file is larger than this process may write; raise `ulimit -f`"
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return f"{system}; give a folder that you may write to"
        case errno.EIO:
            return "the disk reports a fault (input/output error); check it, or use another"
        case errno.ENOENT | errno.ESTALE:
            return f"{system}; something removed or unmounted it"
        case errno.EINVAL | errno.ENOTSUP:
            return f"{system}: this file system cannot promise that files last; use another"
        case _:
            return system
