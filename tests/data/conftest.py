"""Small data sets, made on the spot."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Paint = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LUTHIER_CACHE", str(folder))
    return folder


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Writes a picture of noise: the same seed, the same picture."""

    def write(
        name: str, seed: int = 0, size: tuple[int, int] = (12, 10), mode: str = "RGB"
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return write


@pytest.fixture
def pets(paint: Paint, tmp_path: Path) -> Path:
    """A folder of two classes, 12 pictures each, all different."""
    for number in range(12):
        paint(f"pets/cat/{number:02}.png", seed=number)
        paint(f"pets/dog/{number:02}.png", seed=100 + number)
    return tmp_path / "pets"


def idx_bytes(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """Forty rows of IDX files: the training files packed, the test files not."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for stem, rows, packed in (("train", 30, True), ("t10k", 10, False)):
        images = rng.integers(0, 256, (rows, 6, 5), dtype=np.uint8)
        labels = (np.arange(rows) % 3).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{stem}-{kind}-ubyte"
            if packed:
                path.with_name(path.name + ".gz").write_bytes(
                    gzip.compress(idx_bytes(array), mtime=0)
                )
            else:
                path.write_bytes(idx_bytes(array))
    return folder


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets beside the project."""
    folder = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set LUTHIER_DATA")
    return folder
