from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import numpy as np
import pytest

import luthier.data.cache as cache_module
import luthier.data.entry as entry_module
from luthier.data.augment import FlipSpec
from luthier.data.entry import cache_folder
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers.folder import ImageFolderSpec
from luthier.errors import StorageError


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Grows by one whenever pictures are decoded into the cache."""
    done: list[Path] = []
    write = cache_module._write

    def counted(folder: Path, *rest: object) -> None:
        done.append(folder)
        write(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(cache_module, "_write", counted)
    return done


def spec(pets: Path, **settings: object) -> ImageFolderSpec:
    return ImageFolderSpec(path=str(pets), **settings)  # type: ignore[arg-type]


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "pictures").iterdir())


def test_decoded_once(pets: Path, cache: Path, decodings: list[Path]) -> None:
    first = prepare_pictures(spec(pets), seed=0)
    second = prepare_pictures(spec(pets), seed=1)
    assert len(decodings) == 1
    assert first.fingerprint == second.fingerprint
    assert first.decisions == second.decisions
    assert first.decoded.looks == second.decoded.looks
    assert isinstance(second.decoded.images, np.memmap)
    assert len(entries(cache)) == 1


def test_what_does_not_change_pixels_does_not_decode(pets: Path, decodings: list[Path]) -> None:
    prepare_pictures(spec(pets), seed=0)
    for settings in (
        {"augment": (FlipSpec(),)},
        {"normalize": "unit"},
        {"split": {"test": 0.3}},
        {"on_error": "skip"},
    ):
        prepare_pictures(spec(pets, **settings), seed=0)
    assert len(decodings) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"image_size": 8},
        {"channels": 1},
        {"fit": "stretch"},
        {"interpolation": "nearest"},
        {"classes": ("dog", "cat")},
        {"limit": 9},
    ],
)
def test_what_changes_pixels_decodes(
    pets: Path, decodings: list[Path], settings: dict[str, object]
) -> None:
    prepare_pictures(spec(pets), seed=0)
    prepare_pictures(spec(pets, **settings), seed=0)
    assert len(decodings) == 2


def test_a_changed_file_decodes(pets: Path, paint, decodings: list[Path]) -> None:
    before = prepare_pictures(spec(pets), seed=0).fingerprint
    paint("pets/cat/00.png", seed=999)
    after = prepare_pictures(spec(pets), seed=0).fingerprint
    assert len(decodings) == 2
    assert before != after
    os.utime(pets / "cat" / "00.png", ns=(1, 1))
    assert prepare_pictures(spec(pets), seed=0).fingerprint == after
    assert len(decodings) == 3


@pytest.mark.parametrize("name", ["pixels.npy", "rows.npz", "index.json"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_torn_entry_is_made_anew(
    pets: Path, cache: Path, decodings: list[Path], name: str, share: float
) -> None:
    whole = prepare_pictures(spec(pets), seed=0).fingerprint
    (entry,) = entries(cache)
    os.truncate(entry / name, int((entry / name).stat().st_size * share))
    assert prepare_pictures(spec(pets), seed=0).fingerprint == whole
    assert len(decodings) == 2
    (entry / name).unlink()
    assert prepare_pictures(spec(pets), seed=0).fingerprint == whole


def test_a_crash_leaves_nothing_that_counts(
    pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(entry_module, "_rename", crash)
        with pytest.raises(KeyboardInterrupt):
            prepare_pictures(spec(pets), seed=0)
    assert entries(cache) == []
    left, other = cache / "pictures" / ".partial-old", cache / "pictures" / ".partial-new"
    left.mkdir()
    other.mkdir()
    long_ago = time.time() - 2 * entry_module.STALE_SECONDS
    os.utime(left, (long_ago, long_ago))
    prepare_pictures(spec(pets), seed=0)
    assert not left.exists()
    assert other.exists()  # another process may be at it


def test_another_process_may_be_first(
    pets: Path, decodings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = entry_module._rename

    def race(partial: Path, entry: Path) -> None:
        monkeypatch.setattr(entry_module, "_rename", rename)
        prepare_pictures(spec(pets), seed=0)
        rename(partial, entry)

    monkeypatch.setattr(entry_module, "_rename", race)
    assert len(prepare_pictures(spec(pets), seed=0).train) == 20
    assert len(decodings) == 2


def test_a_full_disk_is_told(pets: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(entry_module.os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device; make room, or set LUTHIER_C"):
        prepare_pictures(spec(pets), seed=0)
    assert entries(cache) == []


def test_a_cache_that_is_a_file_is_told(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"decoded pictures cannot be kept there"):
        prepare_pictures(spec(pets), seed=0, cache=tmp_path / "file")


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert cache_folder() == Path("/a")
    monkeypatch.delenv("LUTHIER_CACHE")
    assert cache_folder() == Path("/b/luthier")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "luthier"


def test_progress_is_told(pets: Path) -> None:
    told: list[tuple[str, int, int]] = []
    prepare_pictures(spec(pets), seed=0, progress=lambda *what: told.append(what))
    assert ("looking at pictures", 24, 24) in told
    assert told[-1] == ("decoding pictures", 24, 24)
