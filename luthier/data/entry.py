"""Entries of the cache: folders that are there whole, or not at all.

An entry is made under another name and renamed when it is whole, so a crash leaves either a whole
entry or none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from luthier.errors import StorageError

PARTIAL = ".partial-"
STALE_SECONDS = 24 * 3600


def cache_folder() -> Path:
    """Where prepared data is kept: `LUTHIER_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("LUTHIER_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "luthier"


def make_entry(entry: Path, write: Callable[[Path], None], what: str) -> None:
    """Makes a folder of the cache; what lies at its place, torn, goes.

    Args:
        entry: Where it will be.
        write: Fills the folder that it is given; each file is to be settled.
        what: What is kept in it, for the message: `decoded pictures`.

    Raises:
        StorageError: If the disk is full, or may not be written to.
    """
    home = entry.parent
    try:
        home.mkdir(parents=True, exist_ok=True)
        _remove_stale(home)
        if entry.exists():
            shutil.rmtree(entry)
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=home))
        try:
            write(partial)
            _rename(partial, entry)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"{home}: {what} cannot be kept there: {error.strerror or error}; make room, "
            "or set LUTHIER_CACHE to a folder on another disk"
        ) from error


def settle(file: IO[Any]) -> None:
    """Makes sure that what was written survives a power cut."""
    file.flush()
    os.fsync(file.fileno())


def _rename(partial: Path, entry: Path) -> None:
    """Make the entry appear, whole; another process may have been first, with the same."""
    try:
        partial.rename(entry)
    except OSError:
        if not entry.is_dir():
            raise


def _remove_stale(home: Path) -> None:
    """Remove what crashed processes left; not what another one may be writing."""
    for left in home.glob(f"{PARTIAL}*"):
        try:
            age_seconds = time.time() - left.stat().st_mtime
        except FileNotFoundError:  # the other process has just finished
            continue
        if age_seconds > STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
