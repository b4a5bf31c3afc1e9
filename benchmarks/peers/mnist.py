"""MNIST as arrays, for every peer the same: read from the four IDX files, with numpy alone."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TRAIN_ROWS = 60_000
CLASSES = 10
SIDE = 28


@dataclass(frozen=True)
class Mnist:
    """Pictures `(rows, 28, 28)` uint8, labels `(rows,)` int64."""

    train_pictures: np.ndarray
    train_labels: np.ndarray
    test_pictures: np.ndarray
    test_labels: np.ndarray


def load(directory: Path) -> Mnist:
    """The data set in `directory`."""
    return Mnist(
        _pictures(directory / "train-images-idx3-ubyte.gz"),
        _labels(directory / "train-labels-idx1-ubyte.gz"),
        _pictures(directory / "t10k-images-idx3-ubyte.gz"),
        _labels(directory / "t10k-labels-idx1-ubyte.gz"),
    )


def unit_floats(pictures: np.ndarray) -> np.ndarray:
    """Pixels as float32 from 0 to 1."""
    return pictures.astype(np.float32) / 255


def _pictures(file: Path) -> np.ndarray:
    return _values(file, offset=16).reshape(-1, SIDE, SIDE)


def _labels(file: Path) -> np.ndarray:
    return _values(file, offset=8).astype(np.int64)


def _values(file: Path, offset: int) -> np.ndarray:
    return np.frombuffer(bytearray(gzip.decompress(file.read_bytes())), np.uint8, offset=offset)
