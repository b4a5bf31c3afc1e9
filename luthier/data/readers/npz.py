"""Arrays of pictures in a NumPy archive (`.npz`).

Dimension key, for the whole file:
    N  rows      H  height      W  width      C  channels
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from luthier.data.collection import Collection, Part, Rows, Split
from luthier.data.faults import Faults
from luthier.data.image import Pixels
from luthier.data.images import ImagesSpec
from luthier.data.readers.limits import check_declared
from luthier.data.readers.naming import class_names, inside, sorted_names, unknown_class
from luthier.data.readers.place import existing
from luthier.errors import DataError

PICTURES = ("x", "images", "image", "data")
LABELS = ("y", "labels", "label", "target", "targets")
AFFIXES: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}


class NpzSpec(ImagesSpec):
    """A `.npz` file with arrays of pictures and of labels.

    Recognised by their names: `x_train` and `y_train`, or `train_images` and `train_labels`, the
    same with `val` and `test`; or `x` and `y`, `images` and `labels`, `data` and `target`.
    """

    kind: Literal["npz"] = "npz"

    path: str
    """The file."""

    def collect(self, faults: Faults) -> Collection:
        """Each pair of arrays."""
        path = existing(self.path, "a .npz file")
        if path.is_dir():
            raise DataError(f"{path}: is a folder; wanted a .npz file")
        arrays = _load(path)
        pairs = _pairs(arrays, path)
        images = {split: _pixels(arrays[x], path, x) for split, (x, _) in pairs.items()}
        raw = {split: _labels(arrays[y], path, y) for split, (_, y) in pairs.items()}
        for split, (x, y) in pairs.items():
            if len(images[split]) != len(raw[split]):
                raise DataError(
                    f"{path}: {x} has {len(images[split]):,} rows, but {y} has "
                    f"{len(raw[split]):,}; wanted as many"
                )
            if not images[split].size:
                raise DataError(f"{path}: {x} holds no pixels: {images[split].shape}")
        classes, parts = self.classes, {}
        if classes == "auto":
            classes = _class_names(raw)
        for split, labels in raw.items():
            numbers, kept = _numbered(labels, classes, split, faults)
            parts[split] = Part(labels=numbers, pictures=images[split]).subset(kept)
        rows = " and ".join(f"{len(images[s]):,} {s} pictures ({x})" for s, (x, _) in pairs.items())
        return Collection(
            recognised=f"NumPy arrays in {path}: {rows}", classes=classes, parts=parts
        )

    def stamp(self) -> str | None:
        """None: they are decoded already."""
        return None


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)
            check_declared(path, declared, path.stat().st_size, len(members))
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise DataError(f"{path}: is no .npz file, or is damaged: {error}") from None
    except ValueError as error:
        raise DataError(
            f"{path}: cannot be read: {error}. Arrays of Python objects are never read; save "
            "numbers or texts"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _pairs(arrays: Mapping[str, Any], path: Path) -> dict[Split, tuple[str, str]]:
    """The names of the pictures and of the labels of each split."""
    names = {name.lower(): name for name in arrays}
    found: dict[Split, tuple[str, str]] = {}
    for split, affixes in AFFIXES.items():
        forms = [form for affix in affixes for form in (f"{{}}_{affix}", f"{affix}_{{}}")]
        pair = _pair(names, forms)
        if pair:
            found[split] = pair
    whole = _pair(names, ["{}"])
    if whole and not found:
        found["train"] = whole
    if "train" not in found:
        raise DataError(
            f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}; wanted x_train and y_train, "
            "train_images and train_labels, or x and y"
        )
    return found


def _pair(names: Mapping[str, str], forms: list[str]) -> tuple[str, str] | None:
    for form in forms:
        pictures = [names[form.format(n)] for n in PICTURES if form.format(n) in names]
        labels = [names[form.format(n)] for n in LABELS if form.format(n) in names]
        if pictures and labels:
            return pictures[0], labels[0]
    return None


def _pixels(array: NDArray[Any], path: Path, name: str) -> Pixels:
    """`(N, H, W, C)` bytes of whatever numbers and order of dimensions there are."""
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and array.shape[-1] not in (1, 3) and array.shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise DataError(
            f"{path}: {name} has the shape {array.shape}; wanted (N, H, W), (N, H, W, C) or "
            "(N, C, H, W) with 1 or 3 channels C"
        )
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise DataError(
            f"{path}: {name} holds {array.dtype}; wanted numbers from 0 to 255, or to 1"
        )
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if not (low >= 0 and high <= 255):  # so that not-a-number is caught as well
        raise DataError(
            f"{path}: {name} has values from {low} to {high}; wanted 0 to 255, or 0 to 1"
        )
    scale = 255 if np.issubdtype(array.dtype, np.floating) and high <= 1 else 1
    return np.ascontiguousarray((array * scale).round().astype(np.uint8))


def _labels(array: NDArray[Any], path: Path, name: str) -> NDArray[Any]:
    """`(N,)` whole numbers or texts."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: {name} holds {array.dtype} in the shape {array.shape}; wanted one whole "
            "number or text a row"
        )
    return array


def _class_names(raw: Mapping[Split, NDArray[Any]]) -> tuple[str, ...]:
    if all(labels.dtype.kind in "iu" for labels in raw.values()):
        return class_names("auto", *raw.values())
    return sorted_names(str(name) for labels in raw.values() for name in np.unique(labels))


def _numbered(
    labels: NDArray[Any], classes: tuple[str, ...], split: Split, faults: Faults
) -> tuple[Rows, Rows]:
    """The class number of each row, and the rows that have one; the others become faults."""
    if labels.dtype.kind in "iu":
        numbers = labels.astype(np.int64)
        return numbers, inside(numbers, classes, f"{split}[{{}}]".format, faults)
    number = {name: position for position, name in enumerate(classes)}
    numbers = np.array([number.get(str(label), -1) for label in labels], dtype=np.int64)
    for row in np.flatnonzero(numbers < 0):
        faults.add(f"{split}[{row}]", unknown_class(str(labels[row]), classes))
    return numbers, np.flatnonzero(numbers >= 0)
