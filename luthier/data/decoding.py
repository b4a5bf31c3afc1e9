"""From what a reader found to one array of pixels.

Dimension key, for the whole file:
    N  rows of all splits      H  height      W  width      C  channels
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from PIL import Image

from luthier.data.collection import SPLITS, Collection, Decoded, Encoded, Part, Rows, Split
from luthier.data.faults import Faults
from luthier.data.image import Look, Pixels, Preprocessing, look
from luthier.data.images import ImagesSpec
from luthier.data.prefetch import ordered
from luthier.data.split import balanced_subset
from luthier.errors import DataError

Progress = Callable[[str, int, int], None]
"""Told (what is being done, rows done, rows in all)."""

Result = TypeVar("Result")

CHUNK_ROWS = 64
MOST_THREADS = 16
LARGEST_AUTO_SIDE = 224
"""Where pictures differ in size, `image_size: auto` goes no higher: the usual size of networks."""
AUTO_STEP = 32


def threads() -> int:
    """Threads that decode: as many as this process has cores, since Pillow lets them run."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


@dataclass(frozen=True)
class Canvas:
    """The size that all pictures get, and why."""

    preprocessing: Preprocessing
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class Arranged:
    """The rows of a collection one after the other, split by split."""

    pictures: Pixels | Sequence[Encoded]
    labels: Rows
    splits: Mapping[Split, Rows]

    def subset(self, rows: Rows) -> Arranged:
        """Some of the rows, in ascending order."""
        if len(rows) == len(self.labels):
            return self
        position = np.full(len(self.labels), -1)
        position[rows] = np.arange(len(rows))
        pictures = (
            self.pictures[rows]
            if isinstance(self.pictures, np.ndarray)
            else [self.pictures[row] for row in rows]
        )
        splits = {name: position[part][position[part] >= 0] for name, part in self.splits.items()}
        return Arranged(pictures, self.labels[rows], splits)


@dataclass(frozen=True)
class Chunk:
    """Some consecutive pictures, decoded."""

    images: Pixels
    """`(rows, H, W, C)`; black where a file is at fault."""
    faulty: Sequence[int]
    """The positions of these, counted over all pictures."""


@dataclass(frozen=True)
class Source:
    """Pictures that were found and looked at, ready to be decoded."""

    collection: Collection
    rows: Arranged
    looks: Mapping[Look, int]
    canvas: Canvas

    @property
    def names(self) -> list[str] | None:
        """The names of the rows, where they have any."""
        if isinstance(self.rows.pictures, np.ndarray):
            return None
        return [picture.name for picture in self.rows.pictures]

    def chunks(self, faults: Faults, progress: Progress | None) -> Iterator[Chunk]:
        """The pixels of all rows, in order, in the size and with the channels of the canvas."""
        pictures, preprocessing = self.rows.pictures, self.canvas.preprocessing
        shape = (preprocessing.height, preprocessing.width, preprocessing.channels)

        def decode(span: range) -> tuple[Chunk, list[tuple[str, str]]]:
            images, wrong = np.zeros((len(span), *shape), dtype=np.uint8), {}
            for position, row in enumerate(span):
                picture = pictures[row]
                try:
                    if isinstance(picture, np.ndarray):
                        flat = picture[..., 0] if picture.shape[-1] == 1 else picture
                        images[position] = preprocessing.conform(Image.fromarray(flat))
                    else:
                        images[position] = preprocessing.decode(picture.read())
                except DataError as error:
                    assert not isinstance(picture, np.ndarray), "pixels cannot be damaged"
                    wrong[row] = (picture.name, str(error))
            return Chunk(images, tuple(wrong)), list(wrong.values())

        for span, (chunk, wrong) in _in_chunks(decode, len(self.rows.labels)):
            for name, reason in wrong:
                faults.add(name, reason)
            if progress:
                progress("decoding pictures", span.stop, len(self.rows.labels))
            yield chunk


def find(spec: ImagesSpec, faults: Faults, progress: Progress | None = None) -> Source:
    """The pictures that `spec` names, without those whose head is at fault.

    Raises:
        DataError: If they cannot be used, or none is left.
    """
    found = spec.collect(faults)
    faults.settle()
    parts = dict(found.parts)
    if spec.limit is not None:
        parts = {
            name: part.subset(balanced_subset(part.labels, spec.limit, spec.split.seed))
            for name, part in parts.items()
        }
    rows = _arranged(parts)
    if isinstance(rows.pictures, np.ndarray):
        count, height, width, channels = rows.pictures.shape
        looks = Counter({Look(width=width, height=height, grey=channels == 1): count})
    else:
        usable, looks = _survey(rows.pictures, faults, progress)
        faults.settle()
        rows = rows.subset(usable)
    for name, part in rows.splits.items():
        if not len(part):
            raise DataError(f"{found.recognised}: no usable picture is left for {name}")
    return Source(found, rows, looks, _canvas(spec, looks))


def in_memory(source: Source, faults: Faults, progress: Progress | None = None) -> Decoded:
    """All pictures of a source that gives pixels; in their own memory where they fit already."""
    images, preprocessing = source.rows.pictures, source.canvas.preprocessing
    assert isinstance(images, np.ndarray), "files are decoded into the cache"
    if images.shape[1:] != (preprocessing.height, preprocessing.width, preprocessing.channels):
        images = np.concatenate([chunk.images for chunk in source.chunks(faults, progress)])
    return Decoded(
        recognised=source.collection.recognised,
        classes=source.collection.classes,
        images=images,
        labels=source.rows.labels,
        names=None,
        splits=source.rows.splits,
        looks=source.looks,
        skipped=tuple(faults.found),
        reasons=source.canvas.reasons,
    )


def _arranged(parts: Mapping[Split, Part]) -> Arranged:
    """The splits one after the other, without a copy where there is one array."""
    given = [(name, parts[name]) for name in SPLITS if name in parts]
    labels = np.concatenate([part.labels for _, part in given])
    splits: dict[Split, Rows] = {}
    start = 0
    for name, part in given:
        splits[name] = np.arange(start, start + len(part.labels))
        start += len(part.labels)
    pictures = [part.pictures for _, part in given]
    arrays = [item for item in pictures if isinstance(item, np.ndarray)]
    if len(arrays) == len(pictures):
        shapes = [array.shape[1:] for array in arrays]
        if len(set(shapes)) > 1:
            told = ", ".join(f"{name} {s}" for (name, _), s in zip(given, shapes, strict=True))
            raise DataError(f"the splits have pictures of different shapes: {told}")
        return Arranged(arrays[0] if len(arrays) == 1 else np.concatenate(arrays), labels, splits)
    assert not arrays, "a source has files or arrays, not both"
    return Arranged([picture for item in pictures for picture in item], labels, splits)


def _canvas(spec: ImagesSpec, looks: Mapping[Look, int]) -> Canvas:
    """The size and channels for pictures that look like this."""
    reasons = {}
    size, channels = spec.image_size, spec.channels
    if size == "auto":
        sides, reasons["image_size"] = _auto_size(looks)
    else:
        sides = (size, size) if isinstance(size, int) else (size[0], size[-1])
    if channels == "auto":
        channels, reasons["channels"] = _auto_channels(looks)
    preprocessing = Preprocessing(
        height=sides[0],
        width=sides[1],
        channels=channels,
        fit=spec.fit,
        interpolation=spec.interpolation,
    )
    return Canvas(preprocessing, reasons)


def _survey(
    pictures: Sequence[Encoded], faults: Faults, progress: Progress | None
) -> tuple[Rows, Counter[Look]]:
    """Reads the head of every picture: which rows can be used, and what they look like."""

    def heads(span: range) -> list[Look | str]:
        found: list[Look | str] = []
        for row in span:
            try:
                found.append(look(pictures[row].read()))
            except DataError as error:
                found.append(str(error))
        return found

    usable: list[int] = []
    looks: Counter[Look] = Counter()
    for span, found in _in_chunks(heads, len(pictures)):
        for row, result in zip(span, found, strict=True):
            if isinstance(result, str):
                faults.add(pictures[row].name, result)
            else:
                usable.append(row)
                looks[result] += 1
        if progress:
            progress("looking at pictures", span.stop, len(pictures))
    return np.array(usable, dtype=np.int64), looks


def _auto_size(looks: Mapping[Look, int]) -> tuple[tuple[int, int], str]:
    sizes = Counter[tuple[int, int]]()
    for each, count in looks.items():
        sizes[each.height, each.width] += count
    if len(sizes) == 1:
        size = next(iter(sizes))
        return size, f"all pictures have {size[0]} x {size[1]} pixels"
    sides = sorted(min(size) for size in sizes.elements())
    median = sides[(len(sides) - 1) // 2]
    side = min(LARGEST_AUTO_SIDE, max(AUTO_STEP, median // AUTO_STEP * AUTO_STEP))
    return (side, side), (
        f"pictures come in {len(sizes)} sizes; half of them have a shorter side of at most "
        f"{median} pixels (a multiple of {AUTO_STEP}, at most {LARGEST_AUTO_SIDE})"
    )


def _auto_channels(looks: Mapping[Look, int]) -> tuple[Literal[1, 3], str]:
    grey = sum(count for each, count in looks.items() if each.grey)
    total = sum(looks.values())
    if grey == total:
        return 1, "all pictures are grey"
    return 3, f"{total - grey:,} of {total:,} pictures have colours"


def _in_chunks(work: Callable[[range], Result], rows: int) -> Iterable[tuple[range, Result]]:
    spans = [range(start, min(start + CHUNK_ROWS, rows)) for start in range(0, rows, CHUNK_ROWS)]
    workers = threads()
    results = ordered(work, spans, workers=workers, ahead=2 * workers)
    return zip(spans, results, strict=True)
