"""The probe refuses before the first step, and leaves nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_loop import Log

from luthier.checkpoint.files import Files, Operation
from luthier.checkpoint.probe import probe
from luthier.checkpoint.store import Store
from luthier.errors import StorageError


def test_a_good_place_is_made_and_left_empty(tmp_path: Path):
    probe(tmp_path / "runs" / "a" / "checkpoints", 1000, keep=3)
    assert list((tmp_path / "runs" / "a" / "checkpoints").iterdir()) == []


def test_what_a_probe_that_was_killed_left_is_cleared(tmp_path: Path):
    (tmp_path / ".writing-probe").mkdir()
    (tmp_path / ".writing-.writing-probe").mkdir()
    probe(tmp_path, 1000, keep=3)
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_told_with_what_is_missing(small_disk: Callable[[str], Path]):
    place = small_disk("size=2m")
    probe(place, 500_000, keep=2)
    with pytest.raises(StorageError) as caught:
        probe(place, 800_000, keep=2)
    assert str(caught.value) == (
        f"{place} has 2.1 MB free, but the checkpoints want 2.4 MB (2 kept and one being written,"
        " each 800.0 kB): free 302.8 kB, keep fewer, or choose another run directory"
    )


def test_what_earlier_checkpoints_take_is_room(small_disk: Callable[[str], Path]):
    place = small_disk("size=2m")
    weights = {"weights": {"w": torch.zeros(150_000)}}  # 600 kB
    for step in (1, 2):
        Store(place, keep=2).save(step, weights, {})
    probe(place, 600_000, keep=2)
    with pytest.raises(StorageError, match=r"has 8.* kB free, but the checkpoints want 1.2 MB"):
        probe(place, 600_000, keep=3)
    Store(place).path(2).rename(place / "step-000002.corrupt")
    with pytest.raises(StorageError, match=r"has 8.* kB free, but the checkpoints want 1.2 MB"):
        probe(place, 600_000, keep=2)


def refused(place: Path, check: Callable[[Path, Files], None]) -> list[str]:
    """What a checkpoint does, but a disk that cannot do it is not refused; and what is left."""
    log = Log()
    store = Store(place, keep=1, files=Files(log))
    for step in (1, 2):
        store.save(step, {}, {})
    faults: list[str] = []
    for verb in {operation.verb for operation in log.operations}:

        def fail(operation: Operation, failing: str = verb) -> None:
            if operation.verb == failing:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        try:
            check(place, Files(fail))
            faults.append(f"{verb} may fail")
        except StorageError as error:
            if "read-only file system" not in str(error):
                faults.append(str(error))
        Store(place).newest()
        faults += [f"left {path.name}" for path in place.glob(".*")]
    return faults


def test_a_disk_that_cannot_do_all_that_a_checkpoint_wants_is_refused(tmp_path: Path):
    assert refused(tmp_path, lambda place, files: probe(place, 10, keep=1, files=files)) == []


def test_the_proof_finds_a_probe_that_only_asks_for_rights(tmp_path: Path):
    def ask(place: Path, files: Files) -> None:
        (place / "trial").unlink(missing_ok=True)
        files.close(files.create(place / "trial"))
        files.remove(place / "trial")

    assert {"sync may fail", "rename may fail"} <= set(refused(tmp_path, ask))
