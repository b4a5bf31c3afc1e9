"""What is wrong with a data set, told before anything is spent on training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from luthier.data.collection import SPLITS, Decoded, Rows, Split
from luthier.data.decoding import Progress
from luthier.data.duplicates import equal_groups, near_pairs
from luthier.data.finding import FILES, Finding, counted, some_of, unusable, worst_first
from luthier.data.images import ImagesSpec
from luthier.data.pictures import PictureExamples
from luthier.data.prepare_pictures import PreparedPictures, prepare_pictures
from luthier.errors import DataError

IMBALANCE = 10
"""The largest class over the smallest, from where it is worth a warning."""
FEW = 20
"""Training pictures of a class, below which it is worth a warning."""


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
    counts = np.array(data.target.counts)
    few = [
        f"{data.target.names[number]} ({counts[number]})"
        for number in np.argsort(counts, kind="stable")
        if 0 < counts[number] < FEW
    ]
    if few:
        yield Finding(
            severity="warning",
            message=f"{counted(len(few), 'class', 'classes')} with fewer than {FEW} training "
            f"pictures: {some_of(few)}",
        )
    present = counts[counts > 0]
    if present.max() >= IMBALANCE * present.min():
        most, least = data.target.names[int(counts.argmax())], _rarest(data)
        yield Finding(
            severity="warning",
            message=f'"{most}" has {counts.max():,} training pictures and "{least}" has '
            f"{present.min():,}; accuracy will say little: look at the scores of each class, and "
            "try task.class_weights=balanced",
        )
    for name, examples in _splits(data)[1:]:
        here = np.bincount(examples.labels, minlength=len(data.target.names))
        missing = [data.target.names[n] for n in np.flatnonzero((here == 0) & (counts > 0))]
        if missing:
            yield Finding(
                severity="warning",
                message=f"{name} has no pictures of {counted(len(missing), 'class', 'classes')}: "
                f"{some_of(missing)}",
            )


def _copies(data: PreparedPictures) -> Iterator[Finding]:
    """Equal and nearly equal pictures: across splits, with two labels, in one split."""
    splits = _splits(data)
    rows = np.concatenate([examples.rows for _, examples in splits])
    side = np.repeat(np.arange(len(splits)), [len(examples) for _, examples in splits])
    first = np.cumsum([0, *(len(examples) for _, examples in splits)])
    images, labels = data.decoded.images[rows], data.decoded.labels[rows]

    def name(row: int) -> str:
        examples = splits[int(side[row])][1]
        return examples.name(row - int(first[side[row]]))

    groups = equal_groups(images)
    equal = _equal_pairs(groups)
    near = near_pairs(images)
    near = near[groups[near[:, 0]] != groups[near[:, 1]]]
    for pairs, what in ((equal, "equal"), (near, "nearly equal")):
        yield from _leaks(pairs, side, [split for split, _ in splits], name, what)
        crossed = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
        if len(crossed):
            yield Finding(
                severity="warning",
                message=f"{counted(len(crossed), 'pair')} of {what} pictures with two labels",
                files=_pair_names(crossed, name),
            )
        inside = pairs[side[pairs[:, 0]] == side[pairs[:, 1]]]
        if len(inside):
            yield Finding(
                severity="note",
                message=f"{counted(len(inside), 'pair')} of {what} pictures in one split",
                files=_pair_names(inside, name),
            )


def _leaks(
    pairs: Rows, side: Rows, splits: Sequence[Split], name: Callable[[int], str], what: str
) -> Iterator[Finding]:
    """Pictures that stand in two splits: what is measured there was learned by heart."""
    for a in range(len(splits)):
        for b in range(a + 1, len(splits)):
            sides = np.sort(side[pairs], axis=1)
            across = pairs[(sides[:, 0] == a) & (sides[:, 1] == b)]
            if len(across):
                leaked = len(np.unique(across[side[across] == b]))
                yield Finding(
                    severity="warning",
                    message=f"{counted(leaked, f'{splits[b]} picture')} {what} to one in "
                    f"{splits[a]}; what is learned by heart there will score well on {splits[b]}",
                    files=_pair_names(across, name),
                )


def _equal_pairs(groups: Rows) -> Rows:
    """`(pairs, 2)`: each row of a group with the group's first row."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    firsts = order[starts][groups]
    later = np.flatnonzero(firsts != np.arange(len(groups)))
    return np.stack([firsts[later], later], axis=1)


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


def _rarest(data: PreparedPictures) -> str:
    present = [
        (count, name) for name, count in zip(data.target.names, data.target.counts, strict=True)
    ]
    return min((pair for pair in present if pair[0]), key=lambda pair: pair[0])[1]


def _pair_names(pairs: Rows, name: Callable[[int], str]) -> tuple[str, ...]:
    return tuple(f"{name(int(a))} = {name(int(b))}" for a, b in pairs[:FILES])
