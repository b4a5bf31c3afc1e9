"""Class folders: which split and which class a picture's path names.

root/<class>/*                          one split
root/{train,val,test}/<class>/*         given splits
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from luthier.data.collection import Collection, Encoded, Part, Split
from luthier.data.faults import Faults
from luthier.data.image import FORMATS, SUFFIXES
from luthier.data.readers.naming import sorted_names, unknown_class
from luthier.errors import DataError
from luthier.spec import Auto

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
OTHER_PICTURES = (
    ".gif",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
    ".svg",
    ".psd",
    ".ico",
    ".jp2",
)


@dataclass(frozen=True)
class Found:
    """A picture in a class folder, and where it lies below the root."""

    path: PurePosixPath
    picture: Encoded


@dataclass(frozen=True)
class _Placed:
    split: Split
    label: str
    picture: Encoded


def split_of(folder: str) -> Split | None:
    """The split that a folder's name stands for; none if it is a class.

    Example:
        >>> split_of("Val"), split_of("cats")
        ('validation', None)
    """
    return SPLIT_NAMES.get(folder.lower())


def by_class_folder(
    found: Sequence[Found],
    folders: Iterable[PurePosixPath],
    wanted: tuple[str, ...] | Auto,
    what: str,
    faults: Faults,
) -> Collection:
    """Pictures whose split and class are the folders that they lie in.

    Args:
        found: Files of any kind, below the root.
        folders: Every folder below the root, so that empty ones are noticed.
        wanted: The names of the classes, if they are given.
        what: What was read, for the messages: `folder /data/pets`.
        faults: Takes up files that cannot be used, and empty classes.

    Raises:
        DataError: If the folders are no class folders.
    """
    folders = list(folders)
    tops = {item.path.parts[0] for item in found if len(item.path.parts) > 1}
    tops |= {folder.parts[0] for folder in folders}
    given = bool(tops) and all(split_of(top) for top in tops)
    mixed = sorted(top for top in tops if split_of(top))
    if mixed and not given:
        others = sorted(tops - set(mixed))
        raise DataError(
            f"{what}: has {', '.join(others[:5])} beside {', '.join(mixed)}; wanted either folders "
            "of splits (train, val, test) or folders of classes"
        )
    depth = 2 if given else 1
    pictures, other = _pictures(found, depth, what, faults)
    placed = [
        _Placed(split_of(item.path.parts[0]) or "train", item.path.parts[depth - 1], item.picture)
        for item in pictures
    ]
    names = {folder.parts[depth - 1] for folder in folders if len(folder.parts) >= depth}
    classes = _classes(placed, names, wanted, faults)
    if not placed:
        faults.settle()  # if all were at fault, their faults tell more
        raise DataError(f"{what}: holds no pictures in class folders; wanted {_wanted()}")
    parts = _parts(placed, classes)
    rows = " and ".join(f"{len(part.labels):,} {name}" for name, part in parts.items())
    aside = f"; {other:,} of other kinds left aside" if other else ""
    return Collection(
        recognised=f"{what}: {rows} pictures in folders of {len(classes)} classes{aside}",
        classes=classes,
        parts=parts,
    )


def _pictures(
    found: Sequence[Found], depth: int, what: str, faults: Faults
) -> tuple[list[Found], int]:
    """The pictures among the files, and the number of other files."""
    kept, other = [], 0
    for item in found:
        suffix = item.path.suffix.lower()
        if suffix in OTHER_PICTURES:
            kind = suffix[1:].upper()
            faults.add(item.picture.name, f"is {kind}; {', '.join(FORMATS)} are read")
        elif suffix not in SUFFIXES:
            other += 1
        elif len(item.path.parts) <= depth:
            raise DataError(
                f"{what}: {item.path} lies outside the class folders; wanted {_wanted()}. If a "
                "table names the labels, use data.kind=image_table"
            )
        else:
            kept.append(item)
    return kept, other


def _classes(
    placed: list[_Placed], folders: set[str], wanted: tuple[str, ...] | Auto, faults: Faults
) -> tuple[str, ...]:
    """The names of the classes; drops from `placed` what is of another."""
    filled = Counter(item.label for item in placed)
    for name in sorted(folders - set(filled)):
        if wanted == "auto" or name in wanted:
            faults.add(f"{name}/", "is an empty class: no pictures are in it")
    if wanted == "auto":
        return sorted_names(filled)
    for item in placed:
        if item.label not in wanted:
            faults.add(item.picture.name, unknown_class(item.label, wanted))
    placed[:] = [item for item in placed if item.label in wanted]
    return wanted


def _parts(placed: Sequence[_Placed], classes: tuple[str, ...]) -> Mapping[Split, Part]:
    number = {name: position for position, name in enumerate(classes)}
    rows: dict[Split, list[_Placed]] = {}
    for item in placed:
        rows.setdefault(item.split, []).append(item)
    if len(rows) == 1:
        rows = {"train": next(iter(rows.values()))}
    return {
        split: Part(
            labels=np.array([number[item.label] for item in items], dtype=np.int64),
            pictures=[item.picture for item in items],
        )
        for split, items in rows.items()
    }


def _wanted() -> str:
    return "CLASS/picture.png, or train/CLASS/picture.png with val and test beside train"
