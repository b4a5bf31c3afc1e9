"""Every single operation of a run is the last one, or the one that fails: nothing is lost.

The proofs return what is wrong as texts, so that each broken twin shows that its fault is found.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from checkpoint_loop import (
    EVERY,
    STEPS,
    Killed,
    Log,
    Make,
    count_operations,
    faults_after,
    kill,
    kill_really,
    make_store,
    same,
    tear,
    train,
    uninterrupted,
)
from torch import Tensor

from luthier.checkpoint.files import Files, Operation, make_folders, write_file
from luthier.checkpoint.folder import read_folder, write_folder
from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.store import Checkpoint, Store
from luthier.errors import InputError, StorageError

Fault = Callable[[Operation], None]


def killed_at(run: Path, at: int, make: Make, how: Fault) -> int:
    """Train until operation `at`; the step that was acknowledged last."""
    acknowledged = [0]
    with pytest.raises(Killed):
        train(make(run, Files(Log(at, how))), acknowledged.append)
    return acknowledged[-1]


def really_killed_at(run: Path, at: int, make: Make) -> int:
    """The same in a process of its own, with SIGKILL."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        train(make(run, Files(Log(at, kill_really))), lambda step: os.write(writer, bytes([step])))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        steps = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child outlived its last operation"
    return max(steps, default=0)


def sweep(scratch: Path, make: Make = make_store, how: Fault = kill) -> dict[int, list[str]]:
    """The faults after a kill at each operation, where there are any."""
    found: dict[int, list[str]] = {}
    for at in range(count_operations(scratch / "whole", make)):
        run = scratch / "run"
        acknowledged = killed_at(run, at, make, how)
        if faults := faults_after(run, acknowledged, make):
            found[at] = faults
        shutil.rmtree(run, ignore_errors=True)
    return found


@pytest.mark.parametrize("how", [kill, tear])
def test_a_run_that_dies_at_any_operation_resumes_to_the_same_end(scratch: Path, how: Fault):
    assert sweep(scratch, how=how) == {}


def test_a_run_that_is_killed_by_the_kernel_at_any_operation_resumes(scratch: Path):
    count = count_operations(scratch / "whole")
    assert count > 100  # the sweep is a sweep
    for at in range(count):
        run = scratch / f"run{at}"
        acknowledged = really_killed_at(run, at, make_store)
        assert faults_after(run, acknowledged, make_store) == [], f"killed at operation {at}"


def test_a_resumed_run_that_dies_again_resumes_to_the_same_end(scratch: Path):
    count = count_operations(scratch / "whole")
    chance = random.Random(5)
    second_kills = 0
    for pair in range(150):
        run = scratch / f"run{pair}"
        acknowledged = killed_at(run, chance.randrange(count), make_store, kill)
        steps = [acknowledged]
        try:
            train(make_store(run, Files(Log(chance.randrange(count), kill))), steps.append)
        except Killed:
            second_kills += 1
        assert faults_after(run, max(steps), make_store) == []
    assert second_kills > 50


class InPlaceStore(Store):
    """Broken: writes over the one checkpoint that there is."""

    def save(
        self, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
    ) -> Path:
        if not self.steps():
            return super().save(step, tensors, state)
        new = Store(self.directory.parent / "new", files=self._files).save(step, tensors, state)
        old = self.path(self.steps()[-1])
        for source in sorted(new.iterdir()):
            self._files.remove(old / source.name)
            file = self._files.create(old / source.name)
            self._files.write(file, source.read_bytes())
            self._files.close(file)
        self._files.rename(old, self.path(step))
        return self.path(step)


class OpenStore(Store):
    """Broken: writes a new checkpoint where all can see it grow."""

    def save(
        self, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
    ) -> Path:
        new = Store(self.directory.parent / "new").save(step, tensors, state)
        make_folders(self.path(step), self._files)
        for source in sorted(new.iterdir()):
            file = self._files.create(self.path(step) / source.name)
            self._files.write(file, source.read_bytes())
            self._files.close(file)
        return self.path(step)


class HastyStore(Store):
    """Broken: makes room before the new checkpoint is there."""

    def save(
        self, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
    ) -> Path:
        for old in self.steps():
            for file in sorted(self.path(old).iterdir()):
                self._files.remove(file)
            self._files.remove_folder(self.path(old))
        return super().save(step, tensors, state)


class ForgetfulStore(Store):
    """Broken: resumes without the moments."""

    def newest(self, *, repair: bool = True) -> Checkpoint | None:
        found = super().newest(repair=repair)
        if found is not None:
            path = self.path(found.step)
            tensors = {key: found.tensors(key) for key in found.keys}
            for moment in tensors["moments"].values():
                moment.zero_()
            Store(self.directory).save(found.step, tensors, found.state)
            found = Checkpoint(found.step, read_folder(path))
        return found


class UntidyStore(Store):
    """Broken: leaves what a writer that was cut off began."""

    def _tidy(self) -> None:
        pass


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (InPlaceStore, "cannot resume: no checkpoint"),
        (OpenStore, "a torn checkpoint was visible"),
        (HastyStore, "lost work: step"),
        (ForgetfulStore, "the end differs"),
        (UntidyStore, "left behind"),
    ],
)
def test_the_sweep_finds_a_broken_store(scratch: Path, broken: type[Store], fault: str):
    found = sweep(scratch, lambda run, files: broken(run / "checkpoints", keep=1, files=files))
    assert any(fault in text for texts in found.values() for text in texts), found


def failing(number: int) -> Fault:
    def fail(operation: Operation) -> None:
        raise OSError(number, os.strerror(number), str(operation.path))

    return fail


def faults_of_failing(
    run: Path, at: int, number: int, stays: bool, make: Make = make_store
) -> list[str]:
    """What is wrong when operation `at` fails, once or from then on, and the run stops."""
    acknowledged = [0]
    store = make(run, Files(Log(at, failing(number), stays=stays)))
    message = ""
    try:
        train(store, acknowledged.append)
    except StorageError as error:
        message = str(error)
    faults: list[str] = []
    if not message and not store.warnings:
        faults.append("the failure was hidden")
    if message and not re.match(r"cannot .+: .+: .+", message):
        faults.append(f"unclear: {message}")
    left = [path.name for path in run.rglob(".writing-*")]
    if left and not stays:
        faults.append(f"left behind: {left}")
    return faults + faults_after(run, acknowledged[-1], make_store)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("stays", [False, True])
def test_a_run_whose_disk_fails_at_any_operation_says_so_and_resumes(
    scratch: Path, number: int, stays: bool
):
    for at in range(count_operations(scratch / "whole")):
        assert faults_of_failing(scratch / f"run{at}", at, number, stays) == [], f"at {at}"


class QuietStore(Store):
    """Broken: says that it saved when the disk refused."""

    def save(
        self, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
    ) -> Path:
        with suppress(StorageError):
            super().save(step, tensors, state)
        return self.path(step)


def test_the_sweep_of_failures_finds_a_store_that_hides_them(scratch: Path):
    def make(run: Path, files: Files) -> Store:
        return QuietStore(run / "checkpoints", keep=1, files=files)

    found = faults_of_failing(scratch / "run", 3, errno.EIO, True, make)
    assert "the failure was hidden" in found
    assert any("lost work" in fault for fault in found)


def test_a_run_may_go_on_after_a_save_that_failed(scratch: Path):
    """Whoever catches the error may train on; the next save works and tidies."""
    history = uninterrupted()
    for at in range(count_operations(scratch / "whole")):
        run = scratch / f"run{at}"
        store = make_store(run, Files(Log(at, failing(errno.EIO), stays=False)))
        for step in range(EVERY, STEPS + 1, EVERY):
            try:
                store.save(step, history[step], {"done": step})
            except StorageError:
                assert step == EVERY or make_store(run, Files()).newest(repair=False) is not None
        found = store.newest()
        assert found is not None
        assert found.step >= STEPS - EVERY
        assert same({key: found.tensors(key) for key in found.keys}, history[found.step])
        assert not list(run.rglob(".*"))


def contents_after_kills(
    scratch: Path, write: Callable[[Path, bytes, Files], object], read: Callable[[Path], object]
) -> Iterator[object]:
    """What a reader finds after a kill at each operation of replacing `old` by `new`."""
    log = Log()
    write(scratch / "count", b"old", Files())
    write(scratch / "count", b"new", Files(log))
    for at in range(len(log.operations)):
        place = scratch / f"place{at}"
        write(place, b"old", Files())
        with pytest.raises(Killed):
            write(place, b"new", Files(Log(at, tear)))
        yield read(place)
        write(place, b"new", Files())
        assert read(place) == b"new"
        assert not list(scratch.glob(f".*place{at}")), "something was left behind"


def write_model(place: Path, data: bytes, files: Files) -> None:
    write_folder(place, {"a.bin": data, "b.bin": lambda write: write(data)}, files)


def read_model(place: Path) -> bytes | None:
    try:
        folder = read_folder(place)
    except (InputError, DamagedError):
        return None
    assert folder.read("a.bin") == folder.read("b.bin")
    return bytes(folder.read("a.bin"))


def write_step(place: Path, data: bytes, files: Files) -> None:
    store = Store(place, keep=1, files=files)
    store.newest()
    store.save(7, {}, {"data": data.decode()})


def read_step(place: Path) -> bytes:
    store = Store(place)
    found = store.newest(repair=False) or store.newest()
    assert found is not None
    assert found.step == 7
    assert not store.warnings
    return str(found.state["data"]).encode()


def write_over(place: Path, data: bytes, files: Files) -> None:
    """Broken: in place, the way most programs write."""
    if place.exists():
        files.remove(place)
    file = files.create(place)
    files.write(file, data)
    files.close(file)


def read_if_there(place: Path) -> bytes | None:
    return place.read_bytes() if place.exists() else None


def test_a_folder_that_is_being_replaced_is_the_old_or_the_new(scratch: Path):
    assert set(contents_after_kills(scratch, write_model, read_model)) == {b"old", b"new"}


def test_a_checkpoint_that_is_saved_again_is_the_old_or_the_new(scratch: Path):
    assert set(contents_after_kills(scratch, write_step, read_step)) == {b"old", b"new"}


def test_a_file_that_is_being_replaced_is_the_old_or_the_new(scratch: Path):
    assert set(contents_after_kills(scratch, write_file, Path.read_bytes)) == {b"old", b"new"}


def test_the_sweep_finds_a_file_that_is_written_in_place(scratch: Path):
    found = set(contents_after_kills(scratch, write_over, read_if_there))
    assert {None, b"", b"n"} & found


def test_no_file_of_a_checkpoint_is_opened_for_writing_once_it_is_there(scratch: Path):
    log = Log()
    train(make_store(scratch, Files(log)), lambda _step: None)
    written = [operation.path for operation in log.operations if operation.verb == "create"]
    assert written
    assert all(path.parent.name.startswith(".writing-step-") for path in written)
