"""Which split a file is of: what its name or its folder says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from luthier.data.collection import SPLITS, Split
from luthier.data.faults import Faults
from luthier.data.readers.layout import split_of
from luthier.data.readers.member import is_archive
from luthier.data.readers.place import existing
from luthier.data.readers.stored import Stored, stored_files
from luthier.errors import DataError
from luthier.spec import Decision, Spec

ABOUT = {"readme", "license", "licence", "copying", "source", "citation", "changelog", "notice"}
_NAMED = 5


def split_in_path(path: PurePosixPath) -> Split | None:
    """The split that a folder or a word of the file's name says; none, or two, say nothing.

    Example:
        >>> split_in_path(PurePosixPath("stsa.binary.train")), split_in_path(PurePosixPath("x.csv"))
        ('train', None)
        >>> split_in_path(PurePosixPath("emerging.dev.conll"))
        'validation'
    """
    words = [*path.parts[:-1], *re.split(r"[^A-Za-z]+", path.name)]
    found = {split for split in map(split_of, words) if split}
    return found.pop() if len(found) == 1 else None


def about_the_data(path: PurePosixPath) -> bool:
    """Whether a file tells of the data and is none of it: README, LICENSE and the like."""
    return path.name.split(".")[0].lower() in ABOUT or path.suffix.lower() == ".md"


def by_split(files: Sequence[Stored], place: Path) -> dict[Split, list[Stored]]:
    """Files by the split that their paths say; a single file, or files that say none, are train.

    Several files of one split must have the same name but for numbers, as the shards of one set.

    Raises:
        DataError: If it is not clear which files are meant.
    """
    if len(files) == 1:
        return {"train": list(files)}
    splits = [split_in_path(file.path) for file in files]
    if not any(splits):
        splits = ["train"] * len(files)
    parts: dict[Split, list[Stored]] = {}
    for split, file in zip(splits, files, strict=True):
        if split:
            parts.setdefault(split, []).append(file)
    for split, members in parts.items():
        if len({re.sub(r"\d+", "", str(file.path)) for file in members}) > 1:
            told = ", ".join(str(file.path) for file in members[:_NAMED])
            raise DataError(
                f"{place}: has {told} for {split}; name the file of each split: "
                "data.files={train: …, validation: …, test: …}"
            )
    if "train" not in parts:
        raise DataError(
            f"{place}: has files of {' and '.join(parts)}, but none of train; name the file of "
            "each split: data.files={train: …, validation: …, test: …}"
        )
    return {split: parts[split] for split in SPLITS if split in parts}


class SplitFiles(Spec):
    """A file for each split."""

    train: str
    """What is learned from."""
    validation: str | None = None
    """What chooses the best checkpoint."""
    test: str | None = None
    """What measures the finished model."""

    def absolute(self) -> dict[str, str]:
        """The paths, found from anywhere."""
        given = self.model_dump(exclude_none=True).items()
        return {split: os.path.abspath(Path(path).expanduser()) for split, path in given}


@dataclass(frozen=True)
class Located:
    """Where the files of all splits are."""

    told: str
    """The place, for messages."""
    parts: Mapping[Split, Sequence[Stored]]
    decisions: tuple[Decision, ...] = ()


def locate(
    path: str | None,
    files: SplitFiles | None,
    what: str,
    suffixes: Sequence[str],
    faults: Faults,
) -> Located:
    """The files that a recipe names, by split.

    Args:
        path: A file, a folder or an archive, as the recipe has it; or none.
        files: A file for each split; or none.
        what: What was wanted, for messages: `a table`.
        suffixes: Of the files that are looked for in a folder. For splits that none of them
            says, other files are taken whose names say them.
        faults: Takes up members of an archive that cannot be used.

    Raises:
        DataError: If it is not there, or it is not clear which files are meant.
    """
    if files is not None:
        places = {split: existing(name, what) for split, name in files.absolute().items()}
        parts = {split: [Stored.at(places[split])] for split in SPLITS if split in places}
        given = files.model_dump(exclude_none=True)
        moved = given != files.absolute()
        reason = "the same files, found from anywhere"
        decision = Decision(place="data.files", value=files.absolute(), reason=reason)
        told = " and ".join(str(place) for place in places.values())
        return Located(told, parts, (decision,) if moved else ())
    assert path is not None, "a spec has a path or files"
    place = existing(path, what)
    found = [file for file in stored_files(place, faults) if not about_the_data(file.path)]
    if place.is_dir() or is_archive(place.name):
        found = _fitting(found, suffixes)
        if not found:
            raise DataError(
                f"{place}: holds no {', '.join(suffixes)}, and no file called train, val or test; "
                f"wanted {what}"
            )
    return Located(str(place), by_split(found, place))


def _fitting(files: Sequence[Stored], suffixes: Sequence[str]) -> list[Stored]:
    """The files of a folder that are data, in their order."""
    fits = {file.path for file in files if file.path.suffix.lower() in suffixes}
    said = {split_in_path(path) for path in fits}
    if fits and said == {None}:
        return [file for file in files if file.path in fits]
    others = {file.path for file in files if split_in_path(file.path) not in {*said, None}}
    return [file for file in files if file.path in fits | others]


def only_one(path: str | None, files: object) -> None:
    """A rule of specs with `path` and `files`.

    Raises:
        ValueError: If both are given, or none.
    """
    if (path is None) == (files is None):
        got = "none" if path is None else "both"
        raise ValueError(f"got {got} of path and files; wanted one of them")
