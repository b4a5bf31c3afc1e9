from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.faults import Faults
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers.idx import MnistSpec, read_idx
from luthier.errors import DataError


def idx(array: np.ndarray, magic: bytes | None = None, count: int | None = None) -> bytes:
    shape = [array.shape[0] if count is None else count, *array.shape[1:]]
    mark = bytes([0, 0, 8, array.ndim]) if magic is None else magic
    return mark + struct.pack(f">{array.ndim}I", *shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 5), dtype=np.uint8)
TRAIN = "train-images-idx3-ubyte.gz"


def test_packed_and_plain_files(mnist: Path) -> None:
    data = prepare_pictures(MnistSpec(path=str(mnist)), seed=0)
    assert (len(data.train), len(data.test or ())) == (27, 10)
    assert data.validation is not None
    assert data.target.names == ("0", "1", "2")
    assert data.target.counts == (9, 9, 9)
    assert data.recognised == (
        f"IDX files: 30 train and 10 test pictures of 6 x 5 pixels in {mnist}"
    )
    ids = np.arange(3)
    assert (data.train.pictures(ids)[..., 0] == IMAGES[data.train.rows[ids]]).all()


def test_names_for_the_classes(mnist: Path) -> None:
    data = prepare_pictures(MnistSpec(path=str(mnist), classes=("shirt", "shoe", "bag")), seed=0)
    assert data.target.names == ("shirt", "shoe", "bag")
    assert not any(d.place == "data.classes" for d in data.decisions)


def test_labels_outside_the_list(mnist: Path) -> None:
    spec = MnistSpec(path=str(mnist), classes=("shirt", "shoe"))
    with pytest.raises(DataError) as caught:
        prepare_pictures(spec, seed=0)
    message = str(caught.value)
    assert message.startswith(
        f"{mnist}: 13 files cannot be used:\n  train[2]: has the label 2; wanted 0 to 1"
    )
    assert "… and 8 more" in message
    assert message.endswith("data.on_error=skip")
    data = prepare_pictures(spec.model_copy(update={"on_error": "skip"}), seed=0)
    assert len(data.skipped) == 13
    assert len(data.test or ()) == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            gzip.compress(idx(IMAGES, magic=b"\0\0\x08\x01"), mtime=0),
            "begins with 00 00 08 01; wanted 00 00",
        ),
        (
            gzip.compress(idx(IMAGES, magic=b"\x89PNG"), mtime=0),
            "begins with 89 50 4e 47; wanted 00 00 08 03",
        ),
        (gzip.compress(b"\0\0", mtime=0), "is cut off in its head, after 2 bytes"),
        (
            gzip.compress(idx(IMAGES)[:-9], mtime=0),
            "is cut off after 891 of 900 bytes; get it anew",
        ),
        (
            gzip.compress(idx(IMAGES) + b"x", mtime=0),
            "holds more than the 900 bytes that its head says",
        ),
        (
            gzip.compress(idx(IMAGES, count=2**31), mtime=0),
            "says that it holds 64,424,509,440 bytes, but",
        ),
        (gzip.compress(idx(IMAGES), mtime=0)[:-30], "is damaged or cut off"),
        (b"no gzip", "is damaged or cut off: Not a gzipped file"),
        (
            gzip.compress(idx(IMAGES[:29]), mtime=0),
            "has 29 pictures, but train-labels-idx1-ubyte.gz has 30",
        ),
        (gzip.compress(idx(IMAGES[:, :0]), mtime=0), "holds no pixels: 30 x 0 x 5"),
        (b"", "is cut off in its head, after 0 bytes"),
    ],
)
def test_bad_files(mnist: Path, content: bytes, message: str) -> None:
    (mnist / TRAIN).write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare_pictures(MnistSpec(path=str(mnist)), seed=0)
    assert str(caught.value).startswith(str(mnist / TRAIN))
    assert message in str(caught.value)


def test_a_missing_half_is_told(mnist: Path) -> None:
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"has t10k-images-idx3-ubyte, but no t10k-labels"):
        prepare_pictures(MnistSpec(path=str(mnist)), seed=0)
    (mnist / "t10k-images-idx3-ubyte").unlink()
    assert prepare_pictures(MnistSpec(path=str(mnist)), seed=0).test is not None  # made, then
    (mnist / TRAIN).unlink()
    with pytest.raises(DataError, match=r"has train-labels-idx1-ubyte.gz, but no train-images"):
        prepare_pictures(MnistSpec(path=str(mnist)), seed=0)


def test_other_places(tmp_path: Path, mnist: Path) -> None:
    with pytest.raises(DataError, match=r'mnits: does not exist; .*did you mean "mnist"\?'):
        prepare_pictures(MnistSpec(path=str(tmp_path / "mnits")), seed=0)
    with pytest.raises(DataError, match=r"is a file; wanted the folder with the IDX files"):
        prepare_pictures(MnistSpec(path=str(mnist / TRAIN)), seed=0)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "a.txt").touch()
    with pytest.raises(DataError, match=r"has no train-images-idx3-ubyte .*; it holds a.txt"):
        prepare_pictures(MnistSpec(path=str(empty)), seed=0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(mnist: Path) -> None:
    (mnist / TRAIN).chmod(0)
    with pytest.raises(DataError, match=r"cannot be read: Permission denied"):
        prepare_pictures(MnistSpec(path=str(mnist)), seed=0)


def test_another_size_and_colours(mnist: Path) -> None:
    data = prepare_pictures(MnistSpec(path=str(mnist), image_size=(8, 9), channels=3), seed=0)
    assert data.signal.shape == (3, 8, 9)
    pixels = data.train.pictures(np.arange(5))
    assert (pixels[..., 0] == pixels[..., 1]).all()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 5), st.integers(1, 6), st.integers(1, 6)), packed=st.booleans()
)
def test_what_is_written_is_read(
    shape: tuple[int, int, int], packed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path_factory.mktemp("idx") / ("file.gz" if packed else "file")
    path.write_bytes(gzip.compress(idx(array), mtime=0) if packed else idx(array))
    assert (read_idx(path, 3) == array).all()


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damaged_files_give_an_error_or_an_array(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packed = data.draw(st.booleans())
    good = bytearray(gzip.compress(idx(IMAGES), mtime=0) if packed else idx(IMAGES))
    for _ in range(3):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("idx") / ("file.gz" if packed else "file")
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))])
    try:
        array = read_idx(path, 3)
    except DataError as error:
        message = str(error)
        assert message.startswith(str(path))
    else:
        assert array.ndim == 3


@pytest.mark.real_data
def test_the_real_mnist(real_data: Path) -> None:
    found = MnistSpec(path=str(real_data / "image_classification" / "mnist")).collect(Faults())
    train, test = found.parts["train"], found.parts["test"]
    assert train.pictures.shape == (60000, 28, 28, 1)
    assert test.pictures.shape == (10000, 28, 28, 1)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert found.classes == tuple("0123456789")
    assert abs(train.pictures.mean() / 255 - 0.1307) < 0.0001
