"""What is wrong with a data set, told before anything is spent on training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from luthier.data.balance import balance_findings
from luthier.data.collection import SPLITS, Decoded, Split
from luthier.data.copies import Copied, equal_pairs
from luthier.data.decoding import Progress
from luthier.data.duplicates import equal_groups, near_pairs
from luthier.data.finding import FILES, Finding, counted, unusable, worst_first
from luthier.data.images import ImagesSpec
from luthier.data.pictures import PictureExamples
from luthier.data.prepare_pictures import PreparedPictures, prepare_pictures
from luthier.errors import DataError


def inspect(
    data: PreparedPictures | ImagesSpec, *, progress: Progress | None = None
) -> list[Finding]:
    """Everything that is wrong with the data, the worst first.

    Args:
        data: Prepared data, or the settings to prepare it by. Files that cannot be used are then
            findings, whatever the settings say of errors.
        progress: Told what is being done, and how far it is.
    """
    errors: list[Finding] = []
    if isinstance(data, ImagesSpec):
        try:
            lenient = data.model_copy(update={"on_error": "skip"})
            data = prepare_pictures(lenient, seed=0, progress=progress)
        except DataError as error:
            return [Finding(severity="error", message=str(error))]
    if data.skipped:
        errors = list(unusable(data.skipped, "file"))
    found = [
        *errors,
        *_classes(data),
        *_copies(data),
        *_constant(data),
        *_looks(data.decoded),
    ]
    return worst_first(found)


def _classes(data: PreparedPictures) -> Iterator[Finding]:
    held = {split: examples.labels for split, examples in _splits(data)[1:]}
    return balance_findings(data.target, held, "pictures")


def _copies(data: PreparedPictures) -> Iterator[Finding]:
    """Equal and nearly equal pictures."""
    splits = _splits(data)
    rows = np.concatenate([examples.rows for _, examples in splits])
    side = np.repeat(np.arange(len(splits)), [len(examples) for _, examples in splits])
    first = np.cumsum([0, *(len(examples) for _, examples in splits)])
    images = data.decoded.images[rows]

    def name(row: int) -> str:
        examples = splits[int(side[row])][1]
        return examples.name(row - int(first[side[row]]))

    copied = Copied(
        splits=[split for split, _ in splits],
        side=side,
        labels=data.decoded.labels[rows],
        name=name,
        one="picture",
    )
    groups = equal_groups(images)
    near = near_pairs(images)
    yield from copied.findings(equal_pairs(groups), "equal")
    yield from copied.findings(near[groups[near[:, 0]] != groups[near[:, 1]]], "nearly equal")


def _constant(data: PreparedPictures) -> Iterator[Finding]:
    """Pictures of one single colour."""
    files: list[str] = []
    for _, examples in _splits(data):
        for start in range(0, len(examples), 4096):
            ids = np.arange(start, min(start + 4096, len(examples)))
            pixels = examples.pictures(ids).reshape(len(ids), -1, data.signal.width)
            flat = (pixels.max(axis=1) == pixels.min(axis=1)).all(axis=1)
            files.extend(examples.name(int(row)) for row in ids[flat])
    if files:
        yield Finding(
            severity="warning",
            message=f"{counted(len(files), 'picture')} of one single colour",
            files=tuple(files[:FILES]),
        )


def _looks(decoded: Decoded) -> Iterator[Finding]:
    """Sizes and channels that differ, or that are far from what they are made."""
    height, width, channels = decoded.images.shape[1:]
    total = sum(decoded.looks.values())
    sizes: Counter[str] = Counter()
    smaller = bent = grey = 0
    for look, count in decoded.looks.items():
        sizes[f"{look.height} x {look.width}"] += count
        smaller += count * (look.height < height or look.width < width)
        ratio = (look.width / look.height) / (width / height)
        bent += count * (ratio > 2 or ratio < 0.5)
        grey += count * look.grey
    if len(sizes) > 1:
        common = ", ".join(f"{size} ({count:,})" for size, count in sizes.most_common(3))
        yield Finding(
            severity="note",
            message=f"pictures come in {len(sizes)} sizes, most often {common}; all become "
            f"{height} x {width} pixels",
        )
    if smaller:
        yield Finding(
            severity="note",
            message=f"{counted(smaller, 'picture')} of {total:,} smaller than {height} x {width} "
            "pixels, and made larger (data.image_size)",
        )
    if bent:
        yield Finding(
            severity="warning",
            message=f"{counted(bent, 'picture')} more than twice as long or as wide as the shape "
            f"{height} x {width}: much is cut off or bent (data.fit, data.image_size)",
        )
    if 0 < grey < total:
        made = "coloured ones lose their colour" if channels == 1 else "grey ones stay grey"
        yield Finding(
            severity="note",
            message=f"{grey:,} of {total:,} pictures are grey, the others have colours; {made}",
        )


def _splits(data: PreparedPictures) -> list[tuple[Split, PictureExamples]]:
    given = (data.train, data.validation, data.test)
    return [(name, part) for name, part in zip(SPLITS, given, strict=True) if part is not None]
