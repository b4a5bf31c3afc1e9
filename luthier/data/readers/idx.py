"""IDX files: MNIST, Fashion-MNIST and their kin, gzipped or not.

Dimension key, for the whole file:
    N  rows      H  height      W  width
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from luthier.data.collection import Collection, Part, Split
from luthier.data.faults import Faults
from luthier.data.images import ImagesSpec
from luthier.data.readers.naming import class_names, inside
from luthier.data.readers.place import folder_at, names
from luthier.errors import DataError

STEMS: dict[Split, str] = {"train": "train", "test": "t10k"}
_BYTES = 0x08  # IDX's code for unsigned bytes
MAX_GZIP_RATIO = 1032
"""Deflate cannot do better: a file that promises more is cut off, or lies."""


class MnistSpec(ImagesSpec):
    """MNIST, Fashion-MNIST or another set in the four usual IDX files."""

    kind: Literal["mnist"] = "mnist"

    path: str
    """The folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two that begin
    with `t10k`, gzipped (`.gz`) or not."""

    def collect(self, faults: Faults) -> Collection:
        """The training rows, and the test rows if they are there."""
        folder = folder_at(self.path, "the folder with the IDX files")
        found = {split: _pair(folder, stem) for split, stem in STEMS.items()}
        if found["train"] is None:
            raise DataError(
                f"{folder}: has no train-images-idx3-ubyte or train-images-idx3-ubyte.gz; "
                f"wanted the IDX files of MNIST{_seen(folder)}"
            )
        read = {split: _rows(*pair) for split, pair in found.items() if pair}
        classes = class_names(self.classes, *(labels for _, labels in read.values()))
        parts = {}
        for split, (images, labels) in read.items():
            kept = inside(labels, classes, f"{split}[{{}}]".format, faults)
            parts[split] = Part(labels=labels, pictures=images).subset(kept)
        sizes = " and ".join(f"{len(labels):,} {split}" for split, (_, labels) in read.items())
        height, width = read["train"][0].shape[1:3]
        return Collection(
            recognised=f"IDX files: {sizes} pictures of {height} x {width} pixels in {folder}",
            classes=classes,
            parts=parts,
        )

    def stamp(self) -> str | None:
        """None: they are decoded already."""
        return None


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of bytes in an IDX file.

    Args:
        path: The file; gzipped if its name ends so.
        dimensions: 3 for images, 1 for labels.

    Raises:
        DataError: If it is not such a file, is cut off, or holds more than it says.
    """
    try:
        size_bytes = path.stat().st_size
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                return _array(file, path, dimensions, size_bytes * MAX_GZIP_RATIO)
        with path.open("rb") as file:
            return _array(file, path, dimensions, size_bytes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: is damaged or cut off: {error}; get it anew") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def _array(
    file: io.BufferedReader | gzip.GzipFile, path: Path, dimensions: int, most_bytes: int
) -> NDArray[np.uint8]:
    head = file.read(4 + 4 * dimensions)
    if len(head) < 4 + 4 * dimensions:
        raise DataError(f"{path}: is cut off in its head, after {len(head)} bytes; get it anew")
    magic, shape = head[:4], struct.unpack(f">{dimensions}I", head[4:])
    wanted = bytes([0, 0, _BYTES, dimensions])
    if magic != wanted:
        raise DataError(
            f"{path}: begins with {magic.hex(' ')}; wanted {wanted.hex(' ')}, the mark of IDX "
            f"bytes in {dimensions} dimension{'s' if dimensions > 1 else ''}"
        )
    count = int(np.prod([int(side) for side in shape], dtype=object))
    if count + len(head) > most_bytes:
        raise DataError(f"{path}: says that it holds {count:,} bytes, but is cut off; get it anew")
    array = np.empty(shape, dtype=np.uint8)
    got = file.readinto(array.reshape(-1).data) if count else 0
    if got != count:
        raise DataError(f"{path}: is cut off after {got:,} of {count:,} bytes; get it anew")
    if file.read(1):
        raise DataError(f"{path}: holds more than the {count:,} bytes that its head says")
    return array


def _pair(folder: Path, stem: str) -> tuple[Path, Path] | None:
    """The image and the label file of a split; none where both are missing."""
    images, labels = _file(folder, f"{stem}-images", 3), _file(folder, f"{stem}-labels", 1)
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        there, missing = (labels, "images") if images is None else (images, "labels")
        raise DataError(f"{folder}: has {there.name if there else ''}, but no {stem}-{missing}")
    return images, labels


def _file(folder: Path, stem: str, dimensions: int) -> Path | None:
    for joint in ("-", "."):
        for suffix in ("", ".gz"):
            path = folder / f"{stem}{joint}idx{dimensions}-ubyte{suffix}"
            if path.is_file():
                return path
    return None


def _rows(images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} has {len(images):,} pictures, but {labels_path.name} has "
            f"{len(labels):,} labels; wanted as many"
        )
    if not images.size:
        raise DataError(f"{images_path}: holds no pixels: {' x '.join(map(str, images.shape))}")
    return images[..., None], labels.astype(np.int64)


def _seen(folder: Path) -> str:
    seen = names(folder)
    return f"; it holds {', '.join(seen[:5])}" + (" …" if len(seen) > 5 else "") if seen else ""
