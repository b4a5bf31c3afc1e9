from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers.folder import ImageFolderSpec
from luthier.errors import DataError


def spec(folder: Path, **settings: object) -> ImageFolderSpec:
    return ImageFolderSpec(path=str(folder), **settings)  # type: ignore[arg-type]


def test_class_folders(pets: Path) -> None:
    (pets / ".hidden").mkdir()
    (pets / "cat" / "Thumbs.db").touch()
    data = prepare_pictures(spec(pets), seed=0)
    assert data.target.names == ("cat", "dog")
    assert (len(data.train), len(data.validation or ()), len(data.test or ())) == (20, 2, 2)
    assert data.recognised == (
        f"folder {pets}: 24 train pictures in folders of 2 classes; 1 of other kinds left aside"
    )
    name = data.train.name(0)
    assert name.split("/")[0] == data.target.names[data.train.labels[0]]
    assert (pets / name).is_file()


def test_given_splits(paint, tmp_path: Path) -> None:
    for number, split in enumerate(("train", "Val", "testing")):
        for label in ("10", "9"):
            for copy in range(3):
                paint(
                    f"set/{split}/{label}/deep/{copy}.png",
                    seed=50 * number + int(label) + 20 * copy,
                )
    data = prepare_pictures(spec(tmp_path / "set"), seed=0)
    assert data.target.names == ("9", "10")
    assert (len(data.train), len(data.validation or ()), len(data.test or ())) == (6, 6, 6)
    assert data.train.name(0).startswith("train/")
    assert (data.test or data.train).name(0).startswith("testing/")
    with pytest.raises(
        DataError, match=r"data.split.test: got 0.2, but the data has 6 rows for test"
    ):
        prepare_pictures(spec(tmp_path / "set", split={"test": 0.2}), seed=0)


def test_names_and_order_of_the_classes(pets: Path) -> None:
    assert prepare_pictures(spec(pets, classes=("dog", "cat")), seed=0).target.names == (
        "dog",
        "cat",
    )
    with pytest.raises(DataError) as caught:
        prepare_pictures(spec(pets, classes=("cats", "dog")), seed=0)
    message = str(caught.value)
    assert "12 files cannot be used" in message
    assert (
        'cat/00.png: has the label "cat", which is not in data.classes; did you mean "cats"?'
        in (message)
    )
    assert "… and 7 more" in message


def test_bad_files_are_told_at_once(pets: Path) -> None:
    (pets / "cat" / "bad.png").write_bytes(b"nonsense")
    (pets / "cat" / "moving.gif").write_bytes(b"GIF89a")
    cut = (pets / "dog" / "00.png").read_bytes()[:-100]
    (pets / "dog" / "cut.png").write_bytes(cut)
    (pets / "dog" / "gone.png").symlink_to(pets / "nowhere.png")
    with pytest.raises(DataError) as caught:
        prepare_pictures(spec(pets), seed=0)
    assert str(caught.value).startswith(
        f"{pets}: 1 file cannot be used:\n"
        "  cat/moving.gif: is GIF; PNG, JPEG, WEBP, BMP, PPM are read"
    )
    (pets / "cat" / "moving.gif").unlink()
    with pytest.raises(DataError) as caught:
        prepare_pictures(spec(pets), seed=0)
    assert "cat/bad.png: is no picture of a known format" in str(caught.value)
    assert "dog/gone.png: cannot be read: No such file or directory" in str(caught.value)
    (pets / "cat" / "bad.png").unlink()
    (pets / "dog" / "gone.png").unlink()
    with pytest.raises(DataError, match=r"dog/cut.png: is damaged or cut off"):
        prepare_pictures(spec(pets), seed=0)


def test_bad_files_are_left_out_and_listed(pets: Path) -> None:
    clean = prepare_pictures(spec(pets), seed=0)
    (pets / "cat" / "000.png").write_bytes(b"nonsense")
    (pets / "cat" / "001.png").write_bytes((pets / "cat" / "01.png").read_bytes()[:-100])
    for _ in range(2):  # decoded, then from the cache
        data = prepare_pictures(spec(pets, on_error="skip"), seed=0)
        assert [name for name, _ in data.skipped] == ["cat/000.png", "cat/001.png"]
        assert "is damaged or cut off" in data.skipped[1][1]
        assert len(data.train) == len(clean.train)
        # Each row still has its own pixels, label and name.
        rows = np.arange(len(data.train))
        by_name = {
            clean.train.name(row): clean.train.pictures(np.array([row])) for row in rows.tolist()
        }
        for row in rows.tolist():
            if data.train.name(row) in by_name:
                assert (data.train.pictures(np.array([row])) == by_name[data.train.name(row)]).all()
                assert data.train.name(row).startswith(data.target.names[data.train.labels[row]])
    with pytest.raises(DataError, match="2 files cannot be used"):
        prepare_pictures(spec(pets), seed=0)  # the cache does not make them good


def test_an_empty_class(pets: Path) -> None:
    (pets / "bird").mkdir()
    with pytest.raises(DataError, match=r"bird/: is an empty class: no pictures are in it"):
        prepare_pictures(spec(pets), seed=0)
    data = prepare_pictures(spec(pets, on_error="skip"), seed=0)
    assert data.target.names == ("cat", "dog")
    assert data.skipped == (("bird/", "is an empty class: no pictures are in it"),)
    with pytest.raises(DataError, match=r'class "fish": has no training picture'):
        prepare_pictures(spec(pets, classes=("cat", "dog", "fish")), seed=0)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "is empty; wanted CLASS/picture.png"),
        (["a.txt"], "holds no pictures in class folders; wanted CLASS/picture.png"),
        (["a.png"], r"a.png lies outside the class folders; wanted CLASS.*data.kind=image_table"),
        (["train/a/1.png", "other/2.png"], r"has other beside train; wanted either folders of"),
        (["train/1.png"], r"train/1.png lies outside the class folders"),
    ],
)
def test_folders_of_another_shape(names: list[str], message: str, tmp_path: Path, paint) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in names:
        if name.endswith(".png"):
            paint(f"root/{name}")
        else:
            (root / name).touch()
    with pytest.raises(DataError, match=message) as caught:
        prepare_pictures(spec(root), seed=0)
    assert str(root) in str(caught.value)


def test_a_linked_class_folder_is_read_and_a_circle_ends(pets: Path, tmp_path: Path) -> None:
    os.rename(pets / "dog", tmp_path / "elsewhere")
    (pets / "dog").symlink_to(tmp_path / "elsewhere")
    (pets / "cat" / "loop").symlink_to(pets / "cat")
    assert prepare_pictures(spec(pets), seed=0).target.names == ("cat", "dog")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(pets: Path) -> None:
    (pets / "cat").chmod(0)
    try:
        with pytest.raises(DataError, match=r"cat: cannot be read: Permission denied"):
            prepare_pictures(spec(pets), seed=0)
    finally:
        (pets / "cat").chmod(0o700)


def test_a_folder_that_refuses_is_told(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("luthier.data.readers.place.os.scandir", refuse)
    with pytest.raises(DataError, match=r"pets: cannot be read: Permission denied"):
        prepare_pictures(spec(pets), seed=0)
