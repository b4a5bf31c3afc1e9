from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from luthier.data.faults import Faults
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers.npz import NpzSpec
from luthier.errors import DataError

X = np.random.default_rng(0).integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
Y = np.arange(20) % 4


def spec(path: Path, **settings: object) -> NpzSpec:
    return NpzSpec(path=str(path), **settings)  # type: ignore[arg-type]


def save(tmp_path: Path, **arrays: np.ndarray) -> Path:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("x", "y"), {"train"}),
        (("data", "target"), {"train"}),
        (("x_train", "y_train", "x_test", "y_test"), {"train", "test"}),
        (("train_images", "train_labels", "val_images", "val_labels"), {"train", "validation"}),
        (("X_train", "Y_train", "X_val", "Y_val", "X_test", "Y_test"), None),
    ],
)
def test_names_that_are_recognised(
    names: tuple[str, ...], splits: set[str] | None, tmp_path: Path
) -> None:
    path = save(tmp_path, **{n: (X if i % 2 == 0 else Y) for i, n in enumerate(names)})
    found = spec(path).collect(Faults())
    assert set(found.parts) == (splits or {"train", "validation", "test"})
    assert (found.parts["train"].pictures == X).all()
    assert (found.parts["train"].labels == Y).all()
    assert found.recognised.startswith(f"NumPy arrays in {path}: 20 train pictures ({names[0]})")


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (X[..., 0], X[..., :1]),
        (X.transpose(0, 3, 1, 2), X),
        (X / np.float32(255), X),
        (X.astype(np.float64), X),
        (X.astype(np.int64), X),
    ],
    ids=["grey", "channels first", "0 to 1", "0 to 255", "whole numbers"],
)
def test_shapes_and_numbers(array: np.ndarray, wanted: np.ndarray, tmp_path: Path) -> None:
    found = spec(save(tmp_path, x=array, y=Y[:, None])).collect(Faults())
    assert (found.parts["train"].pictures == wanted).all()


def test_labels_may_be_texts(tmp_path: Path) -> None:
    path = save(tmp_path, x=X, y=np.array(["cat", "dog"])[Y % 2])
    data = prepare_pictures(spec(path, split={"validation": 0, "test": 0}), seed=0)
    assert data.target.names == ("cat", "dog")
    assert (data.train.labels == Y % 2).all()
    with pytest.raises(
        DataError, match=r'train\[1\]: has the label "dog", which is not in data.cl'
    ):
        prepare_pictures(spec(path, classes=("cat", "fish")), seed=0)
    left = prepare_pictures(spec(path, classes=("cat", "fish"), on_error="skip"), seed=0)
    assert len(left.skipped) == 11  # ten rows, and the class that has none


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y[:19]}, "x has 20 rows, but y has 19; wanted as many"),
        ({"x": X[:0], "y": Y[:0]}, r"x holds no pixels: \(0, 5, 4, 3\)"),
        ({"a": X, "b": Y}, "holds a, b; wanted x_train and y_train"),
        ({"x_test": X, "y_test": Y}, "holds x_test, y_test; wanted x_train"),
        ({"x": X[0], "y": Y}, "x has 5 rows, but y has 20"),
        ({"x": X[..., :2], "y": Y}, r"x has the shape \(20, 5, 4, 2\); wanted \(N, H, W\)"),
        ({"x": X * 2.0, "y": Y}, r"x has values from 0.0 to 510.0; wanted 0 to 255, or 0 to 1"),
        ({"x": np.full((20, 5, 4), np.nan), "y": Y}, "x has values from nan to nan"),
        ({"x": X.astype(str), "y": Y}, "x holds <U3; wanted numbers"),
        ({"x": X, "y": Y / 2}, r"y holds float64 in the shape \(20,\); wanted one whole number"),
        ({"x": X, "y": -Y}, r"train\[1\]: has the label -1"),
        ({"x": X, "y": np.array([None] * 20)}, "Arrays of Python objects are never read"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :3], "y_test": Y},
            r"the splits have pictures of different shapes: train \(5, 4, 3\), test \(3, 4, 3\)",
        ),
    ],
)
def test_arrays_that_cannot_be_used(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, allow_pickle=True, **arrays)
    with pytest.raises(DataError, match=message):
        prepare_pictures(spec(path), seed=0)


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "trapped",))

    np.savez(tmp_path / "trap.npz", allow_pickle=True, x=np.array([Trap()]), y=Y)
    with pytest.raises(DataError, match="Arrays of Python objects are never read"):
        prepare_pictures(spec(tmp_path / "trap.npz"), seed=0)
    assert not (tmp_path / "trapped").exists()


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"bad.npz: is no .npz file, or is damaged"):
        prepare_pictures(spec(path), seed=0)
    with pytest.raises(DataError, match=r"is a folder; wanted a .npz file"):
        prepare_pictures(spec(tmp_path), seed=0)
    whole = save(tmp_path, x=X, y=Y).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"bad.npz: is no .npz file, or is damaged"):
        prepare_pictures(spec(path), seed=0)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            for _ in range(300):
                member.write(bytes(2**20))
        archive.writestr("y.npy", b"")
    with pytest.raises(DataError, match=r"bomb.npz: .* unpack to more than 200 times as many"):
        prepare_pictures(spec(path), seed=0)
