"""One file a class, with one text a line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from luthier.data.collection import SPLITS, Split
from luthier.data.faults import Faults
from luthier.data.readers.layout import split_of
from luthier.data.readers.lines import read_lines
from luthier.data.readers.naming import check_names
from luthier.data.readers.place import existing
from luthier.data.readers.splits import about_the_data, only_one, split_in_path
from luthier.data.readers.stored import Stored, stored_files
from luthier.data.text.labelled.found import CutOff, FoundTexts, TextRow, problem_with, sole_part
from luthier.data.text.labelled.texts import TextsSpec
from luthier.errors import DataError
from luthier.spec import Auto, Decision, Many

_NAMED = 5


class TextLinesSpec(TextsSpec):
    """A file for each class, with one text a line: `reviews.pos` and `reviews.neg`."""

    kind: Literal["text_lines"] = "text_lines"

    path: str | None = None
    """A folder or an archive with one file a class; or one a split and class, whose names say
    train, val or test. Files about the data (README, LICENSE, *.md) are left aside."""
    files: Mapping[str, str] | None = None
    """Instead of a path: {class: file}."""
    classes: Many[str] | Auto = "auto"
    """The names of the classes, in the order of their numbers."""
    first: bool | Auto = "auto"
    """Whether a token that stands for the whole text goes before it, and a separator behind it;
    auto: as the start of the run had it, else if the task asks."""
    cut: CutOff = "end"
    """What is cut off of a text that is longer than the context."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        only_one(self.path, self.files)
        check_names(self.classes)
        if self.files is not None and len(self.files) < 2:
            raise ValueError("files: got fewer than 2; wanted a file for each class")
        return self

    def collect(self, faults: Faults) -> FoundTexts:
        """Every line of every file."""
        told, files, decisions = self._files(faults)
        parts: dict[Split, list[TextRow]] = {}
        for split, label, file in files:
            parts.setdefault(split, []).extend(_rows(file, label, faults))
        ordered = {split: parts[split] for split in SPLITS if parts.get(split)}
        return FoundTexts(
            recognised=f"lines of texts {told}", parts=sole_part(ordered), decisions=decisions
        )

    def _files(
        self, faults: Faults
    ) -> tuple[str, list[tuple[Split, str, Stored]], tuple[Decision, ...]]:
        """The place, each file with its split and its class, and what was decided."""
        if self.files is not None:
            paths = {
                label: os.path.abspath(Path(name).expanduser())
                for label, name in self.files.items()
            }
            found = {label: Stored.at(existing(name, "texts")) for label, name in paths.items()}
            decision = Decision(
                place="data.files", value=paths, reason="the same files, found from anywhere"
            )
            moved = paths != dict(self.files)
            told = " and ".join(file.where for file in found.values())
            given: list[tuple[Split, str, Stored]] = [
                ("train", label, file) for label, file in found.items()
            ]
            return told, given, (decision,) if moved else ()
        assert self.path is not None, "a spec has a path or files"
        place = existing(self.path, "a folder or an archive with one file a class")
        listed = [file for file in stored_files(place, faults) if not about_the_data(file.path)]
        if len(listed) < 2:
            raise DataError(
                f"{place}: has {len(listed)} file{'s' if len(listed) != 1 else ''} with texts; "
                "wanted one for each class, at least two"
            )
        splits = [split_in_path(file.path) for file in listed]
        if any(splits) and not all(splits):
            pairs = zip(listed, splits, strict=True)
            unclear = ", ".join([str(file.path) for file, split in pairs if not split][:_NAMED])
            raise DataError(
                f"{place}: {unclear} say no split (train, val, test), but "
                "others do; name the files: data.files={class: file, …}"
            )
        labels = _labels([str(file.path) for file in listed], str(place))
        return (
            str(place),
            [
                (split or "train", label, file)
                for split, label, file in zip(splits, labels, listed, strict=True)
            ],
            (),
        )


def _rows(file: Stored, label: str, faults: Faults) -> Iterator[TextRow]:
    for number, text, problem in read_lines(file):
        if not text.strip() and not problem:
            continue  # an empty line is no text, and no fault
        place = f"{file.name} line {number}"
        problem = problem or problem_with(text)
        if problem:
            faults.add(place, problem)
        else:
            yield TextRow(place, text.strip(), label=label)


def _labels(paths: Sequence[str], place: str) -> list[str]:
    """The class that each file's name says: what is its own of it, without any split."""
    divided = [
        [part for part in re.split(r"[./_-]+", path) if part and not split_of(part)]
        for path in paths
    ]
    while min(map(len, divided)) > 1 and len({parts[0] for parts in divided}) == 1:
        divided = [parts[1:] for parts in divided]
    while min(map(len, divided)) > 1 and len({parts[-1] for parts in divided}) == 1:
        divided = [parts[:-1] for parts in divided]
    labels = ["_".join(parts) for parts in divided]
    if not all(labels) or len(set(labels)) < 2:
        raise DataError(
            f"{place}: the names of the files ({', '.join(paths[:_NAMED])}) do not say classes; "
            "name the files: data.files={class: file, …}"
        )
    return labels
