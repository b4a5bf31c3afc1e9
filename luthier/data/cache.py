"""Decoded pictures, kept on disk: decoded once, then mapped into memory.

An entry is a folder named by a fingerprint of the files and of the settings that decoding depends
on, with `pixels.npy` (N, H, W, C), `rows.npz` (labels, and the rows of each split) and
`index.json`. What looks torn is made anew.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from luthier.data.collection import SPLITS, Decoded, Rows, Split
from luthier.data.decoding import Progress, Source, find
from luthier.data.entry import cache_folder, make_entry, settle
from luthier.data.faults import Faults
from luthier.data.image import Look
from luthier.data.images import ImagesSpec
from luthier.errors import DataError

VERSION = 1
"""Raise it when the same files and settings give other pixels, or the entry's form changes."""
_NOT_DECODING = {"augment", "normalize", "split", "path", "on_error"}


def cached(
    spec: ImagesSpec, stamp: str, progress: Progress | None = None, folder: Path | None = None
) -> Decoded:
    """The pictures of `spec`: from the cache, or decoded and put there.

    Args:
        spec: The data section of a recipe.
        stamp: What changes when the files change.
        progress: Told what is being done, and how far it is.
        folder: The cache; none means `cache_folder()`.

    Raises:
        DataError: If pictures cannot be used.
        StorageError: If the cache cannot be written.
    """
    home = (cache_folder() if folder is None else folder) / "pictures"
    entry = home / _key(spec, stamp)
    found = _read(entry)
    if found is not None:
        return _allowed(found, spec)
    make_entry(entry, lambda folder: _write(folder, spec, progress), "decoded pictures")
    made = _read(entry)
    assert made is not None, f"{entry} was just written"
    return made


def _allowed(found: Decoded, spec: ImagesSpec) -> Decoded:
    """An entry that may have been made when files could be left out."""
    faults = spec.faults()
    faults.found.extend(found.skipped)
    faults.settle()
    return found


def _key(spec: ImagesSpec, stamp: str) -> str:
    settings = spec.model_dump(mode="json", exclude=_NOT_DECODING)
    if spec.limit is not None:
        settings["limit_seed"] = spec.split.seed
    text = json.dumps([VERSION, settings, stamp], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _write(folder: Path, spec: ImagesSpec, progress: Progress | None) -> None:
    faults = spec.faults()
    source = find(spec, faults, progress)
    digest, faulty = _write_pixels(folder / "pixels.npy", source, faults, progress)
    faults.settle()
    good = np.ones(len(source.rows.labels), dtype=bool)
    good[faulty] = False
    splits = {name: rows[good[rows]] for name, rows in source.rows.splits.items()}
    for name, rows in splits.items():
        if not len(rows):
            recognised = source.collection.recognised
            raise DataError(f"{recognised}: no usable picture is left for {name}")
    with (folder / "rows.npz").open("wb") as file:
        arrays: dict[str, Rows] = {str(name): rows for name, rows in splits.items()}
        np.savez(file, allow_pickle=False, labels=source.rows.labels, **arrays)
        settle(file)
    index = {
        "version": VERSION,
        "recognised": source.collection.recognised,
        "classes": list(source.collection.classes),
        "names": source.names,
        "looks": [[look.width, look.height, look.grey, n] for look, n in source.looks.items()],
        "skipped": faults.found,
        "reasons": dict(source.canvas.reasons),
        "pixel_digest": digest,
    }
    with (folder / "index.json").open("w", encoding="utf-8") as text:
        json.dump(index, text)
        settle(text)


def _write_pixels(
    path: Path, source: Source, faults: Faults, progress: Progress | None
) -> tuple[str, list[int]]:
    """The array's hash, and the rows whose file turned out to be damaged.

    Written as a stream: into a mapped file, a full disk would be a bus error.
    """
    preprocessing = source.canvas.preprocessing
    count = len(source.rows.labels)
    shape = (count, preprocessing.height, preprocessing.width, preprocessing.channels)
    digest = hashlib.blake2b(digest_size=16)
    faulty: list[int] = []
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for chunk in source.chunks(faults, progress):
            file.write(chunk.images.data)
            digest.update(chunk.images.data)
            faulty.extend(chunk.faulty)
        settle(file)
    return digest.hexdigest(), faulty


def _read(entry: Path) -> Decoded | None:
    """The entry; none if there is none, or it is torn."""
    try:
        index = json.loads((entry / "index.json").read_text(encoding="utf-8"))
        # "c": changes stay in memory. torch refuses to wrap what may not be written at all.
        images = np.load(entry / "pixels.npy", mmap_mode="c", allow_pickle=False)
        with np.load(entry / "rows.npz", allow_pickle=False) as rows:
            labels = rows["labels"]
            splits: dict[Split, Rows] = {name: rows[name] for name in SPLITS if name in rows}
        if len(images) != len(labels):
            return None
        return Decoded(
            recognised=index["recognised"],
            classes=tuple(index["classes"]),
            images=images,
            labels=labels,
            names=index["names"],
            splits=splits,
            looks={Look(width=w, height=h, grey=grey): n for w, h, grey, n in index["looks"]},
            skipped=tuple((file, reason) for file, reason in index["skipped"]),
            pixel_digest=index["pixel_digest"],
            reasons=index["reasons"],
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None  # torn: it is made anew
