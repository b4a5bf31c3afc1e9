"""A disk that is full, read-only or not ours: a clear error, and nothing that was there is lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.checkpoint.files import Files, Operation, free_bytes, write_file
from luthier.checkpoint.folder import read_folder, write_folder
from luthier.checkpoint.lock import RunLock
from luthier.checkpoint.probe import probe
from luthier.checkpoint.store import Store
from luthier.errors import StorageError

Mount = Callable[[str], Path]

TENSORS = {"weights": {"w": torch.arange(75_000, dtype=torch.float32)}}  # 300 kB


def fill(store: Store) -> tuple[int, str]:
    """Save until the disk is full: the last step that was saved, and the error."""
    for step in range(1, 100):
        try:
            store.save(step, TENSORS, {"step": step})
        except StorageError as error:
            return step - 1, str(error)
    raise AssertionError("the disk never filled")


def check_last_good(store: Store, saved: int) -> None:
    assert not list(store.directory.glob(".*"))
    found = store.newest()
    assert found is not None
    assert (found.step, found.state) == (saved, {"step": saved})
    assert torch.equal(found.tensors("weights")["w"], TENSORS["weights"]["w"])
    assert store.warnings == []


def test_a_full_disk_keeps_the_last_good_checkpoint(small_disk: Mount):
    place = small_disk("size=2m")
    store = Store(place / "run" / "checkpoints", keep=50)
    saved, message = fill(store)
    assert saved == 6
    assert message.startswith("cannot save a checkpoint: cannot write ")
    assert "the disk is full (" in message
    assert "free); free some space, then run again" in message
    assert message.endswith(f"the last good one is {store.path(saved)}")
    check_last_good(store, saved)
    store.keep = 2
    (place / "other").write_bytes(bytes(free_bytes(place)))
    with pytest.raises(StorageError, match="the disk is full"):
        store.save(7, TENSORS, {})
    check_last_good(store, saved)
    (place / "other").unlink()
    shutil.rmtree(store.path(1))
    store.save(7, TENSORS, {"step": 7})
    check_last_good(store, 7)
    assert store.steps() == [6, 7]


class UncleanStore(Store):
    """Broken: leaves the half that it wrote on the full disk, and prunes to make room."""

    def save(self, step: int, tensors: object, state: object) -> Path:
        for old in self.steps():
            for file in self.path(old).iterdir():
                file.unlink()
            self.path(old).rmdir()
        (self.directory / f".writing-step-{step:06d}").mkdir(parents=True)
        raise StorageError("full")


def test_the_proof_finds_a_store_that_leaves_its_half(tmp_path: Path):
    Store(tmp_path).save(1, TENSORS, {"step": 1})
    broken = UncleanStore(tmp_path)
    with pytest.raises(StorageError):
        broken.save(2, TENSORS, {})
    with pytest.raises(AssertionError):
        check_last_good(broken, 1)


def test_a_limit_on_the_size_of_files_is_told(tmp_path: Path):
    store = Store(tmp_path / "checkpoints")
    store.save(1, TENSORS, {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match="larger than this process may write; raise `ulimit"):
            store.save(2, TENSORS, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    check_last_good(store, 1)


def test_a_read_only_disk_is_told_and_can_be_read(small_disk: Mount):
    place = small_disk("size=4m")
    store = Store(place / "checkpoints")
    store.save(1, TENSORS, {"step": 1})
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    with pytest.raises(StorageError, match="read-only file system; give a folder that you may"):
        store.save(2, TENSORS, {})
    with pytest.raises(StorageError, match=r"cannot make .*recipe.yaml: read-only file system"):
        write_file(place / "recipe.yaml", b"name: x")
    with pytest.raises(StorageError, match="read-only file system"):
        probe(place / "checkpoints", 1000, keep=1)
    check_last_good(store, 1)


NOBODY = 65534


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Takes root's rights away for as long as the test runs."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(before)


@pytest.mark.parametrize("rights", [0o555, 0o000])
def test_a_folder_without_rights_is_told(scratch: Path, rights: int, request: Any):
    store = Store(scratch / "run" / "checkpoints")
    store.save(1, TENSORS, {"step": 1})
    scratch.chmod(0o755)
    (scratch / "run").chmod(rights)
    store.directory.chmod(rights)
    request.getfixturevalue("unprivileged")
    place = store.directory
    words = "permission denied; give a folder that you may write to"
    for refused in (
        lambda: Store(place).save(2, TENSORS, {}),
        lambda: write_folder(place.parent / "model", {"a.bin": b""}),
        lambda: write_file(place.parent / "recipe.yaml", b""),
        lambda: probe(place, 10, keep=1),
        lambda: RunLock(place.parent).acquire(),
        lambda: RunLock(place.parent / "new").acquire(),
    ):
        with pytest.raises(StorageError, match=words):
            refused()
    if rights:
        check_last_good(store, 1)
        return
    for refused in (store.newest, lambda: store.open(1), lambda: read_folder(store.path(1))):
        with pytest.raises(StorageError, match=r"cannot read .*: permission denied"):
            refused()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, r"the disk is full \(.+ free\); free some space"),
        (errno.EDQUOT, "your quota on this disk is used up"),
        (errno.EROFS, "read-only file system; give a folder that you may write to"),
        (errno.EACCES, "permission denied; give a folder that you may write to"),
        (errno.EIO, r"the disk reports a fault \(input/output error\)"),
        (errno.ESTALE, "something removed or unmounted it"),
        (errno.EINVAL, "this file system cannot promise that files last"),
        (errno.EMFILE, "too many open files"),
    ],
)
def test_what_the_system_says_becomes_a_sentence(tmp_path: Path, number: int, words: str):
    def watch(operation: Operation) -> None:
        if operation.verb == "write":
            raise OSError(number, os.strerror(number))

    with pytest.raises(StorageError, match=words) as caught:
        write_folder(tmp_path / "model", {"a.bin": b"abc"}, Files(watch))
    assert str(caught.value).startswith(f"cannot write {tmp_path / '.writing-model' / 'a.bin'}: ")
    assert list(tmp_path.iterdir()) == []
