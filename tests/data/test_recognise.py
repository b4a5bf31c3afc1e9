from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from luthier.data.images import ImagesSpec
from luthier.data.readers.archive import ImageArchiveSpec
from luthier.data.readers.folder import ImageFolderSpec
from luthier.data.readers.idx import MnistSpec
from luthier.data.readers.npz import NpzSpec
from luthier.data.readers.table import ImageTableSpec
from luthier.data.recognise import recognise
from luthier.errors import DataError


def test_folders_and_idx_files(pets: Path, mnist: Path, tmp_path: Path, paint) -> None:
    assert recognise(pets) == ImageFolderSpec(path=str(pets))
    assert recognise(mnist) == MnistSpec(path=str(mnist))
    assert recognise(mnist / "train-images-idx3-ubyte.gz") == MnistSpec(path=str(mnist))
    paint("given/train/cat/0.png")
    assert recognise(tmp_path / "given") == ImageFolderSpec(path=str(tmp_path / "given"))


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("metadata.csv", ImageTableSpec),
        ("train/metadata.jsonl", ImageTableSpec),
        ("pets_train.tar.gz", ImageArchiveSpec),
        ("data_batch_1.bin", ImageArchiveSpec),
    ],
)
def test_folders_with_such_a_file(name: str, cls: type[ImagesSpec], tmp_path: Path) -> None:
    _touch(tmp_path / name)
    assert recognise(tmp_path) == cls(path=str(tmp_path))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "cls"),
    [("labels.csv", ImageTableSpec), ("a.zip", ImageArchiveSpec), ("a.npz", NpzSpec)],
)
def test_files(name: str, cls: type[ImagesSpec], tmp_path: Path) -> None:
    path = _touch(tmp_path / name)
    assert recognise(path) == cls(path=str(path))  # type: ignore[call-arg]


def test_a_lone_npz_in_a_folder(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(1))
    assert recognise(tmp_path) == NpzSpec(path=str(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", x=np.zeros(1))
    with pytest.raises(DataError, match="is nothing that is known"):
        recognise(tmp_path)


def test_what_is_not_known_says_what_was_looked_for(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.rar", "w"):
        pass
    for place in (tmp_path, tmp_path / "a.rar"):
        with pytest.raises(DataError) as caught:
            recognise(place)
        message = str(caught.value)
        assert message.startswith(f"{place}: is nothing that is known; looked for folders of class")
        assert "metadata.csv" in message
    with pytest.raises(DataError, match=r"nothing: does not exist; wanted folders of classes"):
        recognise(tmp_path / "nothing")
