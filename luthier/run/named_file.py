"""Files whose names the user gave."""

from __future__ import annotations

from pathlib import Path

from luthier.checkpoint.files import write_file
from luthier.errors import InputError


def must_be_writable(path: Path) -> None:
    """Refuses a name that no file can have, before any work is done for it.

    Raises:
        InputError: If it is a folder, or in a folder that is not there.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; wanted the name of a file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no such folder as {path.parent}; make it first")


def write_named(path: Path, text: str) -> None:
    """Writes or replaces the file at `path`.

    Raises:
        InputError: If it is a folder, or in a folder that is not there.
        StorageError: If the disk refuses.
    """
    must_be_writable(path)
    write_file(path, text.encode())
