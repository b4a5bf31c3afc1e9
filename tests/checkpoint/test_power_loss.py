"""No loss of power loses a checkpoint that was acknowledged, or loads one that is not whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_loop import Killed, Log, kill, same, train, uninterrupted
from power_loss import Tree, trees
from torch import Tensor

from luthier.checkpoint import manifest
from luthier.checkpoint.files import Files, OpenFile, write_file
from luthier.checkpoint.store import Store
from luthier.errors import LuthierError

Make = Callable[[Path, Files], Store]


def careful(run: Path, files: Files) -> Store:
    return Store(run / "checkpoints", keep=1, files=files)


def recorded(run: Path, make: Make, files: type[Files], kill_at: int | None = None) -> Recording:
    """The operations of a run, after a kill of its resumption too, and what was acknowledged."""
    log = Log(kill_at, kill)
    acknowledged = [(0, 0)]

    def acknowledge(step: int) -> None:
        acknowledged.append((len(log.operations), step))

    try:
        train(make(run, files(log)), acknowledge)
    except Killed:
        log.operations.pop()  # the one that it died before
        log.at = None
        train(make(run, files(log)), acknowledge)
    return log, acknowledged


Recording = tuple[Log, list[tuple[int, int]]]


def lay_out(tree: Tree, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    for path, content in sorted(tree.items()):
        if content is None:
            (place / path).mkdir()
        else:
            (place / path).write_bytes(content)


def faults(scratch: Path, recording: Recording, *, pairs: bool = True) -> Iterator[str]:
    """What is wrong with each disk that a loss of power may leave; nothing is an empty text."""
    log, acknowledged = recording
    history = uninterrupted()
    place = scratch / "after"
    for count, tree in trees(scratch / "run", log.operations, pairs=pairs):
        lay_out(tree, place)
        promised = max(step for when, step in acknowledged if when <= count)
        yield _fault(Store(place / "checkpoints"), promised, history)


def _fault(store: Store, promised: int, history: Mapping[int, Any]) -> str:
    try:
        checkpoint = store.newest()
        if store.warnings:
            return f"torn: {store.warnings}"
        if checkpoint is None:
            return f"lost: step {promised}" if promised else ""
        tensors = {key: checkpoint.tensors(key) for key in checkpoint.keys}
    except LuthierError as error:
        return f"lost: {error}"
    if checkpoint.step < promised:
        return f"lost: step {promised}, found {checkpoint.step}"
    return "" if same(tensors, history[checkpoint.step]) else "garbage was loaded"


@pytest.fixture
def run(scratch: Path) -> Path:
    (scratch / "run").mkdir()
    return scratch / "run"


def test_no_loss_of_power_loses_what_was_acknowledged(scratch: Path, run: Path):
    found = list(faults(scratch, recorded(run, careful, Files)))
    assert len(found) > 500
    assert set(found) == {""}


@pytest.mark.parametrize("kill_at", [1, 2, 30, 52, 55, 62])
def test_no_loss_of_power_after_a_kill_loses_what_was_acknowledged(
    scratch: Path, run: Path, kill_at: int
):
    recording = recorded(run, careful, Files, kill_at)
    assert len(recording[0].operations) > 100
    assert set(faults(scratch, recording, pairs=False)) == {""}


def test_no_loss_of_power_loses_a_checkpoint_that_is_saved_again(scratch: Path, run: Path):
    log = Log()
    store = careful(run, Files(log))
    acknowledged: list[int] = []
    for text in ("old", "new"):
        store.save(7, {"weights": {"w": torch.ones(2)}}, {"text": text})
        acknowledged.append(len(log.operations))
    found: set[tuple[int, str]] = set()
    for count, tree in trees(run, log.operations, pairs=True):
        lay_out(tree, scratch / "after")
        checkpoint = Store(scratch / "after" / "checkpoints").newest()
        saved = sum(when <= count for when in acknowledged)
        found.add((saved, "" if checkpoint is None else str(checkpoint.state["text"])))
    assert found == {(0, ""), (0, "old"), (1, "old"), (1, "new"), (2, "new")}


class NoFileSync(Files):
    """Broken: never waits for a file's bytes."""

    def sync(self, file: OpenFile) -> None:
        pass


class NoFolderSync(Files):
    """Broken: never waits for a name."""

    def sync_folder(self, path: Path) -> None:
        pass


class HastyStore(Store):
    """Broken: prunes before the new checkpoint is acknowledged."""

    def save(
        self, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
    ) -> Path:
        for old in self.steps():
            for file in sorted(self.path(old).iterdir()):
                self._files.remove(file)
            self._files.remove_folder(self.path(old))
        return super().save(step, tensors, state)


def hasty(run: Path, files: Files) -> Store:
    return HastyStore(run / "checkpoints", keep=1, files=files)


@pytest.mark.parametrize(
    ("make", "files", "fault"),
    [
        (careful, NoFileSync, "lost: "),
        (careful, NoFolderSync, "lost: step"),
        (hasty, Files, "lost: "),
    ],
)
def test_the_model_finds_a_writer_that_is_broken(
    scratch: Path, run: Path, make: Make, files: type[Files], fault: str
):
    recording = recorded(run, make, files)
    assert any(fault in text for text in faults(scratch, recording, pairs=False))


def test_the_model_finds_that_nothing_is_verified(
    scratch: Path, run: Path, monkeypatch: pytest.MonkeyPatch
):
    recording = recorded(run, careful, NoFileSync)
    monkeypatch.setattr(manifest, "_checked", lambda *_: None)
    found = faults(scratch, recording, pairs=False)
    assert any("garbage was loaded" in text for text in found)


def write_unsynced(path: Path, data: bytes, files: Files) -> None:
    """Broken: renames a file whose bytes may not be there."""
    temporary = path.with_name(f".writing-{path.name}")
    file = files.create(temporary)
    files.write(file, data)
    files.close(file)
    files.rename(temporary, path)
    files.sync_folder(path.parent)


def contents(scratch: Path, run: Path, write: Callable[[Path, bytes, Files], None]) -> set[str]:
    """What the file may hold while it is replaced, and once that is done."""
    log = Log()
    write(run / "recipe.yaml", b"old recipe", Files(log))
    first = len(log.operations)
    write(run / "recipe.yaml", b"new recipe", Files(log))
    found = set()
    for count, tree in trees(run, log.operations, pairs=True):
        held = tree.get("recipe.yaml")
        when = "first" if count < first else "done" if count == len(log.operations) else "during"
        found.add(f"{when}: {None if held is None else bytes(held)!r}")
    return found


def test_a_file_is_the_old_or_the_new_after_a_loss_of_power(scratch: Path, run: Path):
    assert contents(scratch, run, write_file) == {
        "first: None",
        "first: b'old recipe'",
        "during: b'old recipe'",
        "during: b'new recipe'",
        "done: b'new recipe'",
    }


def test_the_model_finds_a_file_that_was_not_synced(scratch: Path, run: Path):
    assert "done: b''" in contents(scratch, run, write_unsynced)
