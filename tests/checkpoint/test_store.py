"""What a store keeps, prunes and finds."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from luthier.checkpoint import manifest
from luthier.checkpoint.document import to_json
from luthier.checkpoint.files import Files, Operation
from luthier.checkpoint.store import Checkpoint, Store
from luthier.errors import InputError

TENSORS = {"weights": {"w": torch.tensor([1.5])}, "optimizer": {}}


def save(store: Store, *steps: int) -> None:
    for step in steps:
        store.save(step, TENSORS, {"step": step})


def test_a_new_store_holds_nothing_and_makes_nothing(tmp_path: Path):
    store = Store(tmp_path / "checkpoints")
    assert store.newest() is None
    assert store.steps() == []
    assert not store.directory.exists()


def test_the_newest_are_kept_and_the_pinned_one(tmp_path: Path):
    store = Store(tmp_path, keep=2)
    save(store, 100, 200)
    store.pin(100)
    save(store, 300, 400)
    assert store.steps() == [100, 300, 400]
    store.pin(400)
    save(store, 500)
    assert store.steps() == [400, 500]
    save(store, 600, 700)
    assert store.steps() == [400, 600, 700]
    store.pin(None)
    save(store, 800)
    assert store.steps() == [700, 800]


def test_steps_are_ordered_as_numbers(tmp_path: Path):
    store = Store(tmp_path, keep=2)
    save(store, 999_999, 1_000_000)
    found = store.newest()
    assert found is not None
    assert (found.step, found.path.name) == (1_000_000, "step-1000000")


def test_what_was_just_saved_is_kept_even_if_older_than_others(tmp_path: Path):
    """A run that was started again from an older checkpoint."""
    store = Store(tmp_path, keep=1)
    save(store, 300, 100)
    assert 100 in store.steps()


def test_the_age_of_files_decides_nothing(tmp_path: Path):
    store = Store(tmp_path)
    save(store, 100, 200)
    os.utime(store.path(100), (2**31, 2**31))
    os.utime(store.path(200), (0, 0))
    found = store.newest()
    assert found is not None
    assert found.step == 200


def test_a_checkpoint_says_what_it_holds(tmp_path: Path):
    store = Store(tmp_path)
    save(store, 7)
    found = store.open(7)
    assert found.keys == ("optimizer", "weights")
    assert found.state == {"step": 7}
    assert found.tensors("optimizer") == {}
    assert found.tensors("weights")["w"].item() == 1.5


def test_other_things_in_the_folder_are_left_alone(tmp_path: Path):
    store = Store(tmp_path, keep=1)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-12").mkdir()
    (tmp_path / "step-000012").write_text("a file")
    save(store, 1, 2)
    assert store.newest() is not None
    assert {"notes.txt", "step-12", "step-000012"} < set(os.listdir(tmp_path))


def test_a_step_that_is_not_there_is_the_users_mistake(tmp_path: Path):
    store = Store(tmp_path)
    with pytest.raises(InputError, match="has no checkpoint of step 5; it has none"):
        store.open(5)
    save(store, 1, 2)
    with pytest.raises(InputError, match="has no checkpoint of step 5; it has 1, 2"):
        store.open(5)


def test_a_checkpoint_under_another_name_is_not_taken_for_that_step(tmp_path: Path):
    store = Store(tmp_path)
    save(store, 100, 200)
    store.path(200).rename(store.path(900))
    found = store.newest()
    assert found is not None
    assert found.step == 100
    assert "state.json is not the state of step 900" in store.warnings[0]


def test_a_checkpoint_of_a_newer_luthier_stops_instead_of_losing_steps(tmp_path: Path):
    store = Store(tmp_path)
    save(store, 100, 200)
    newer = store.path(200) / "manifest.json"
    from_luthier_2(newer)
    with pytest.raises(InputError, match="update luthier"):
        store.newest()
    assert store.steps() == [100, 200]


def from_luthier_2(path: Path) -> None:
    plain = {**json.loads(path.read_bytes()), "version": 2}
    path.write_bytes(to_json(manifest._sealed(plain)))


def test_a_failed_pruning_is_a_warning_since_the_new_one_is_there(tmp_path: Path):
    def watch(operation: Operation) -> None:
        if operation.target is not None and ".removing-" in operation.target.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    store = Store(tmp_path, keep=1, files=Files(watch))
    save(store, 1, 2)
    assert store.steps() == [1, 2]
    assert store.warnings == [
        f"old checkpoints could not be removed: cannot rename {store.path(1)}: the disk reports a"
        " fault (input/output error); check it, or use another"
    ]


class Pruned(Store):
    """A store whose oldest checkpoint is pruned by its writer while we look at it."""

    def open(self, step: int) -> Checkpoint:
        if step == 100:
            writer = Store(self.directory, keep=1)
            save(writer, 200)
        return super().open(step)


def test_a_reader_looks_again_when_the_writer_prunes(tmp_path: Path):
    save(Store(tmp_path), 100)
    store = Pruned(tmp_path)
    found = store.newest(repair=False)
    assert found is not None
    assert (found.step, store.warnings) == (200, [])


def test_state_that_json_would_change_is_refused_before_anything_is_written(tmp_path: Path):
    store = Store(tmp_path / "checkpoints")
    with pytest.raises(ValueError, match=r"document.state.best is nan"):
        store.save(1, TENSORS, {"best": float("nan")})
    assert not store.directory.exists()


def test_keeping_nothing_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        Store(tmp_path, keep=0)
