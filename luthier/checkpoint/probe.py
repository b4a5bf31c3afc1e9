"""Whether a run's checkpoints can be written, asked before the first step."""

from __future__ import annotations

from pathlib import Path

from luthier.checkpoint.files import (
    DISK,
    WRITING,
    Files,
    free_bytes,
    make_folders,
    remove_tree,
    shown_bytes,
    told,
)
from luthier.checkpoint.folder import write_folder
from luthier.checkpoint.store import CORRUPT
from luthier.errors import StorageError


def probe(directory: Path, expected_bytes: int, *, keep: int, files: Files = DISK) -> None:
    """Refuse a directory that could not take a run's checkpoints.

    Makes it where it is missing, and puts a small folder through all that a checkpoint goes
    through: writing, syncing, renaming, removing. Wanted is room for `keep`
    checkpoints and the one that is being written; what earlier checkpoints take there counts as
    room, since they will go, but the next one must fit beside them.

    Args:
        directory: Where the checkpoints will lie. The caller holds the run's lock.
        expected_bytes: The size of one checkpoint.
        keep: How many are kept, the pinned one counted.
        files: The disk.

    Raises:
        StorageError: It cannot be written to, or has not enough room; says what to do.
    """
    make_folders(directory, files)
    trial = directory / f"{WRITING}probe"  # a store clears it away, should we die here
    if trial.exists():
        remove_tree(trial, files)
    write_folder(trial, {"probe": b"probe\n"}, files)
    remove_tree(trial, files)
    with told("read the folder", directory):
        whole = (folder for folder in directory.glob("step-*") if CORRUPT not in folder.name)
        taken = sum(file.stat().st_size for folder in whole for file in folder.iterdir())
        free = free_bytes(directory)
    wanted = max(expected_bytes, (keep + 1) * expected_bytes - taken)
    if free < wanted:
        raise StorageError(
            f"{directory} has {shown_bytes(free)} free, but the checkpoints want"
            f" {shown_bytes(wanted)} ({keep} kept and one being written, each"
            f" {shown_bytes(expected_bytes)}): free {shown_bytes(wanted - free)}, keep fewer, or"
            " choose another run directory"
        )
