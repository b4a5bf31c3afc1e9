from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from luthier.data.faults import Faults
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers import limits
from luthier.data.readers.archive import ImageArchiveSpec
from luthier.errors import DataError

Build = Callable[[tarfile.TarFile], None]


def picture(seed: int) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def members(prefix: str, seed: int) -> dict[str, bytes]:
    return {
        f"{prefix}{label}/{n}.png": picture(seed + 10 * position + n)
        for position, label in enumerate(("cat", "dog"))
        for n in range(6)
    }


def pack(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def spec(path: Path, **settings: object) -> ImageArchiveSpec:
    return ImageArchiveSpec(path=str(path), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("a.tar.gz", "w:gz"),
        ("a.tgz", "w:gz"),
        ("a.tar", "w"),
        ("a.tar.bz2", "w:bz2"),
        ("a.tar.xz", "w:xz"),
        ("a.zip", ""),
    ],
)
@pytest.mark.parametrize("prefix", ["", "./", "pets-1.0/"])
def test_each_kind_of_archive(name: str, mode: str, prefix: str, tmp_path: Path) -> None:
    files = {**members(prefix, 0), f"{prefix}cat/note.txt": b"x", f"{prefix}.git/HEAD": b"x"}
    path = pack(tmp_path / name, files, mode)
    data = prepare_pictures(spec(path), seed=0)
    assert data.target.names == ("cat", "dog")
    assert (len(data.train), len(data.validation or ()), len(data.test or ())) == (8, 2, 2)
    assert data.recognised == (
        f"archive {path}: 12 train pictures in folders of 2 classes; 1 of other kinds left aside"
    )
    assert data.train.name(0).startswith(f"{name}:")
    assert sorted(tmp_path.iterdir()) == [path]  # nothing is unpacked beside it


def test_one_archive_a_split(tmp_path: Path) -> None:
    pack(tmp_path / "pets_train.tar.gz", members("train/", 0))
    pack(tmp_path / "pets_test.tar.gz", members("", 100))
    (tmp_path / "SOURCE.md").touch()
    data = prepare_pictures(spec(tmp_path, split={"validation": 0}), seed=0)
    assert (len(data.train), len(data.test or ())) == (12, 12)
    pack(tmp_path / "other.tar.gz", members("", 200))
    with pytest.raises(DataError, match=r"has other.tar.gz, pets_test.*wanted one archive a split"):
        prepare_pictures(spec(tmp_path), seed=0)


def test_splits_inside_one_archive(tmp_path: Path) -> None:
    files = {**members("pets/train/", 0), **members("pets/val/", 100)}
    data = prepare_pictures(spec(pack(tmp_path / "pets.tar", files, "w")), seed=0)
    assert len(data.validation or ()) == 12


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Build:
    def build(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)

    return build


def file(name: str) -> Build:
    def build(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))

    return build


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (file("../evil.png"), r"a.tar:../evil.png: has a path that leaves the archive's folder"),
        (file("cat/../../evil.png"), "has a path that leaves"),
        (file("/tmp/evil.png"), "has a path that leaves"),
        (file("cat\\..\\evil.png"), "has a path that leaves"),
        (file("C:evil.png"), "has a path that leaves"),
        (file("cat/0.png"), r"cat/0.png: is in the archive more than once"),
        (link("cat/link.png", "/etc/passwd"), "is a link or a device, not a file"),
        (link("cat/link.png", "0.png", tarfile.LNKTYPE), "is a link or a device, not a file"),
        (link("cat/device.png", "", tarfile.CHRTYPE), "is a link or a device, not a file"),
        (link("cat/pipe.png", "", tarfile.FIFOTYPE), "is a link or a device, not a file"),
    ],
)
def test_members_that_escape(build: Build, reason: str, tmp_path: Path) -> None:
    inside = tmp_path / "jail" / "inner"
    inside.mkdir(parents=True)
    path = pack(inside / "a.tar", members("", 0), "w")
    with tarfile.open(path, "a") as archive:
        build(archive)
    with pytest.raises(DataError, match=reason):
        prepare_pictures(spec(path), seed=0)
    data = prepare_pictures(spec(path, on_error="skip"), seed=0)
    assert len(data.skipped) == 1
    assert len(data.train) == 8
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_zip_members_that_escape(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {**members("", 0), "../evil.png": b"evil"})
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("cat/link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError) as caught:
        prepare_pictures(spec(path), seed=0)
    assert "a.zip:../evil.png: has a path that leaves" in str(caught.value)
    assert "a.zip:cat/link.png: is a link" in str(caught.value)


def test_an_encrypted_member_is_told(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"cat/0.png": picture(0)})
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a.zip:cat/0.png: is encrypted"):
        prepare_pictures(spec(path), seed=0)


@pytest.mark.parametrize("name", ["bomb.tar.gz", "bomb.zip"])
def test_a_bomb_is_not_unpacked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    monkeypatch.setattr(limits, "SMALL_BYTES", 2**20)
    noughts = bytes(8 * 2**20)
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("cat/0.png", noughts)
    else:
        pack(path, {"cat/0.png": noughts})
    with pytest.raises(DataError, match=r"unpack to more than 200 times as many; this looks like"):
        prepare_pictures(spec(path), seed=0)
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(DataError, match="GiB; unpack it yourself"):
        prepare_pictures(spec(path), seed=0)


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ENTRIES", 5)
    for name in ("a.tar.gz", "a.zip"):
        path = pack(tmp_path / name, members("", 0))
        with pytest.raises(DataError, match="holds more than 5 files; unpack it yourself"):
            prepare_pictures(spec(path), seed=0)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz", "a.tar", "a.zip"])
def test_damaged_archives(name: str, tmp_path: Path) -> None:
    mode = {"a.tar.xz": "w:xz", "a.tar": "w"}.get(name, "w:gz")
    path = pack(tmp_path / name, members("", 0), mode)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 3], b"nonsense", b""):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            prepare_pictures(spec(path), seed=0)
        assert str(caught.value).startswith((f"{path}: ", f"archive {path}: holds no pictures"))


def test_a_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no archive \(.tar.gz, .tgz"):
        prepare_pictures(spec(tmp_path), seed=0)
    (tmp_path / "a.rar").touch()
    with pytest.raises(DataError, match=r"a.rar: wanted an archive: .tar.gz"):
        prepare_pictures(spec(tmp_path / "a.rar"), seed=0)


def test_an_empty_class_in_an_archive(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", members("", 0), "w")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("bird")
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    with pytest.raises(DataError, match=r"bird/: is an empty class"):
        prepare_pictures(spec(path), seed=0)


def batch(rows: int, seed: int) -> tuple[bytes, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (np.arange(rows) % 10).astype(np.uint8)
    images = rng.integers(0, 256, (rows, 3, 32, 32), dtype=np.uint8)
    records = np.concatenate([labels[:, None], images.reshape(rows, -1)], axis=1)
    return records.tobytes(), images, labels


@pytest.mark.parametrize("packed", [False, True])
def test_the_binary_version_of_cifar(packed: bool, tmp_path: Path) -> None:
    first, images, labels = batch(20, 0)
    files = {"data_batch_1.bin": first, "data_batch_2.bin": batch(10, 1)[0]}
    files |= {"test_batch.bin": batch(10, 2)[0], "batches.meta.txt": b"airplane\n"}
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    if packed:
        place = pack(
            folder / "cifar-10-binary.tar.gz",
            {f"cifar-10-batches-bin/{name}": data for name, data in files.items()},
        )
    else:
        place = folder
        for name, data in files.items():
            (folder / name).write_bytes(data)
    data = prepare_pictures(spec(place, split={"validation": 0}), seed=0)
    assert (len(data.train), len(data.test or ())) == (30, 10)
    assert data.target.names[3] == "cat"
    assert data.recognised.endswith("CIFAR-10's binary version, 30 train and 10 test pictures")
    ids = np.arange(20)
    assert (data.train.pictures(ids) == images.transpose(0, 2, 3, 1)).all()
    assert (data.train.labels[:20] == labels).all()
    assert data.train.name(3) == "train[3]"


def test_broken_batches(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(batch(3, 0)[0])
    with pytest.raises(DataError, match=r"has test_batch.bin, but no data_batch_1.bin to train on"):
        prepare_pictures(spec(tmp_path), seed=0)
    (tmp_path / "data_batch_1.bin").write_bytes(batch(3, 0)[0][:-1])
    with pytest.raises(DataError, match=r"data_batch_1.bin has 9,218 bytes; wanted a multiple of"):
        prepare_pictures(spec(tmp_path), seed=0)
    wrong = bytearray(batch(20, 0)[0])
    wrong[0] = 77
    (tmp_path / "data_batch_1.bin").write_bytes(wrong)
    with pytest.raises(DataError, match=r"train\[0\]: has the label 77; wanted 0 to 9"):
        prepare_pictures(spec(tmp_path), seed=0)


def test_the_version_with_pickles_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "cifar-10-python.tar.gz", {"cifar-10-batches-py/data_batch_1": b"\x80"})
    with pytest.raises(DataError, match="pickles are never read; take the binary version"):
        prepare_pictures(spec(path), seed=0)


@pytest.mark.real_data
def test_the_real_cifar(real_data: Path) -> None:
    path = real_data / "image_classification" / "cifar10_jpg" / "cifar10_test.tar.gz"
    data = prepare_pictures(spec(path, limit=200, split={"validation": 0, "test": 0}), seed=0)
    assert data.recognised.endswith("10,000 train pictures in folders of 10 classes")
    assert data.target.counts == (20,) * 10
    assert data.target.names[0] == "airplane"
    assert data.signal.shape == (3, 32, 32)


def test_an_unreadable_archive_is_told(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar.gz", members("", 0))
    os.truncate(path, 0)
    faults = Faults()
    with pytest.raises(DataError):
        spec(path).collect(faults)
