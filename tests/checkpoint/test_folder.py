"""Folders with a manifest: what is written is read, and nothing else."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.checkpoint import manifest
from luthier.checkpoint.document import to_json
from luthier.checkpoint.files import Files, Operation, make_folders, remove_tree, write_file
from luthier.checkpoint.folder import read_folder, write_folder
from luthier.checkpoint.manifest import DamagedError
from luthier.checkpoint.weights import write_tensors
from luthier.errors import InputError, StorageError


def model(place: Path) -> Path:
    contents = {
        "labels.json": to_json(["cat", "dog"]),
        "weights.safetensors": lambda write: write_tensors({"w": torch.ones(2)}, write),
        "empty.txt": b"",
    }
    return write_folder(place / "model", contents).path


def test_a_folder_is_read_as_it_was_written(tmp_path: Path):
    path = model(tmp_path / "runs" / "a b'c%d ü")
    folder = read_folder(path)
    assert folder.names == ("empty.txt", "labels.json", "weights.safetensors")
    assert folder.json("labels.json") == ["cat", "dog"]
    assert folder.tensors("weights.safetensors")["w"].tolist() == [1.0, 1.0]
    assert folder.read("empty.txt") == b""
    sizes = [(path / name).stat().st_size for name in folder.names]
    assert folder.size_bytes == sum(sizes)
    assert [entry.name for entry in path.parent.iterdir()] == ["model"]


def test_the_manifest_has_the_hashes_that_sha256sum_gives(tmp_path: Path):
    path = model(tmp_path)
    for name, entry in read_folder(path).manifest.files.items():
        data = (path / name).read_bytes()
        assert (entry.size_bytes, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_folder_is_replaced_whole(tmp_path: Path):
    model(tmp_path)
    assert write_folder(tmp_path / "model", {"new.txt": b"new"}).names == ("new.txt",)
    assert sorted(os.listdir(tmp_path / "model")) == ["manifest.json", "new.txt"]


def test_a_writer_that_raises_leaves_nothing(tmp_path: Path):
    def broken(write: Callable[[bytes], None]) -> None:
        write(b"half")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        write_folder(tmp_path / "model", {"a.txt": broken})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "manifest.json", "a\n"])
def test_a_name_that_could_mean_another_place_is_refused(tmp_path: Path, name: str):
    with pytest.raises(AssertionError, match="cannot name a file of a folder"):
        write_folder(tmp_path / "model", {name: b""})
    with pytest.raises(DamagedError, match=r"manifest.json has an entry that cannot be"):
        sealed(tmp_path, {"files": {name: {"bytes": 0, "sha256": "0" * 64}}})


def sealed(folder: Path, changes: dict[str, Any]) -> None:
    """Reads a manifest that somebody wrote by hand, and sealed."""
    plain = {"format": "luthier folder", "version": 1, "files": {}, **changes}
    (folder / "manifest.json").write_bytes(to_json(manifest._sealed(plain)))
    read_folder(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "zip"}, "manifest.json is not the manifest of a folder of luthier"),
        ({"version": "1"}, "manifest.json is not the manifest of a folder of luthier"),
        ({"files": {"a.txt": {"bytes": -1, "sha256": "0" * 64}}}, "entry that cannot be: 'a.txt'"),
        ({"files": {"a.txt": {"bytes": 1, "sha256": "F" * 64}}}, "entry that cannot be: 'a.txt'"),
        ({"files": {"a.txt": 3}}, "entry that cannot be: 'a.txt'"),
        ({"files": {"a.txt": {"bytes": 1, "sha256": "0" * 64}}}, r"a\.txt is missing"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any], words: str):
    with pytest.raises(DamagedError, match=words):
        sealed(tmp_path, changes)


def test_a_folder_of_a_newer_luthier_is_no_damage(tmp_path: Path):
    with pytest.raises(InputError, match=r"by a newer luthier \(format 2; this one reads 1\)"):
        sealed(tmp_path, {"version": 2})


def test_what_is_not_there_is_the_users_mistake(tmp_path: Path):
    with pytest.raises(InputError, match=f"there is no folder {tmp_path / 'model'}"):
        read_folder(tmp_path / "model")
    (tmp_path / "model").mkdir()
    with pytest.raises(DamagedError, match=r"manifest\.json is missing"):
        read_folder(tmp_path / "model")


def test_a_pipe_or_a_folder_in_the_place_of_a_file_is_damage(tmp_path: Path):
    path = model(tmp_path)
    for make in (os.mkfifo, os.mkdir):
        remove_tree(path / "labels.json")
        make(path / "labels.json")
        with pytest.raises(DamagedError, match=r"labels\.json is no regular file"):
            read_folder(path)


def test_json_that_is_none_is_damage(tmp_path: Path):
    path = write_folder(tmp_path / "model", {"a.json": b"{"}).path
    with pytest.raises(DamagedError, match=r"a\.json is no JSON document"):
        read_folder(path).json("a.json")


@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (errno.EIO, DamagedError, "labels.json cannot be read: the disk reports a fault"),
        (errno.EACCES, StorageError, "cannot read .*labels.json: permission denied"),
    ],
)
def test_a_disk_that_cannot_give_a_file_back_has_damaged_it_but_rights_have_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception], words: str
):
    path = model(tmp_path)
    real = os.open

    def fails(name: Any, *rest: Any) -> int:
        if Path(name).name == "labels.json":
            raise OSError(number, os.strerror(number))
        return real(name, *rest)

    monkeypatch.setattr(os, "open", fails)
    with pytest.raises(error, match=words):
        read_folder(path)


def test_a_file_is_replaced_whole_and_a_leftover_is_cleared(tmp_path: Path):
    (tmp_path / ".writing-recipe.yaml").write_bytes(b"half")
    write_file(tmp_path / "recipe.yaml", b"name: a")
    write_file(tmp_path / "recipe.yaml", b"name: b")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [
        ("recipe.yaml", b"name: b")
    ]


def test_a_link_is_removed_not_followed(tmp_path: Path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "precious")
    remove_tree(tmp_path / "tree")
    assert (tmp_path / "precious" / "file").read_bytes() == b"x"
    (tmp_path / "elsewhere").write_bytes(b"x")
    (tmp_path / "new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="file exists"):
        Files().create(tmp_path / "new")


def test_folders_are_made_with_their_parents_and_synced(tmp_path: Path):
    seen: list[Operation] = []
    make_folders(tmp_path / "a" / "b", Files(seen.append))
    assert [(operation.verb, operation.path.name) for operation in seen] == [
        ("sync_folder", tmp_path.parent.name),
        ("make_folder", "a"),
        ("sync_folder", tmp_path.name),
        ("make_folder", "b"),
        ("sync_folder", "a"),
    ]
