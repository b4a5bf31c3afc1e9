"""Folders of text files, one folder a class, one text a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import model_validator

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.readers.layout import split_of
from luthier.data.readers.naming import check_names
from luthier.data.readers.place import existing
from luthier.data.readers.stored import Stored, stored_files
from luthier.data.readers.whole import read_whole
from luthier.data.text.labelled.found import CutOff, FoundTexts, TextRow, sole_part
from luthier.data.text.labelled.texts import TextsSpec
from luthier.errors import DataError
from luthier.spec import Auto, Many

SUFFIX = ".txt"
_WANTED = "CLASS/text.txt, or train/CLASS/text.txt with val and test beside train"


class TextFolderSpec(TextsSpec):
    """Text files in class folders: `path/CLASS/*.txt`, or `path/{train,val,test}/CLASS/*.txt`."""

    kind: Literal["text_folder"] = "text_folder"

    path: str
    """The folder, or an archive of it, that holds the class folders, or train, val and test."""
    classes: Many[str] | Auto = "auto"
    """The names of the classes, in the order of their numbers. Folders of others are left
    aside."""
    first: bool | Auto = "auto"
    """Whether a token that stands for the whole text goes before it, and a separator behind it;
    auto: as the start of the run had it, else if the task asks."""
    cut: CutOff = "end"
    """What is cut off of a text that is longer than the context."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        check_names(self.classes)
        return self

    def collect(self, faults: Faults) -> FoundTexts:
        """Every text file in a class folder."""
        place = existing(self.path, "a folder of class folders, or an archive of one")
        files = stored_files(place, faults)
        depth = 2 if _splits_given(files, str(place)) else 1
        parts: dict[Split, list[TextRow]] = {}
        aside = 0
        for file in files:
            folders = file.path.parts[:-1]
            if file.path.suffix.lower() != SUFFIX or len(folders) < depth:
                aside += 1
                continue
            label = folders[depth - 1]
            if self.classes != "auto" and label not in self.classes:
                aside += 1
                continue
            text, problem = read_whole(file)
            if problem:
                faults.add(str(file.path), problem)
                continue
            split = (split_of(folders[0]) if depth == 2 else None) or "train"
            parts.setdefault(split, []).append(TextRow(str(file.path), text, label=label))
        if not parts:
            faults.settle()  # if all were at fault, their faults tell more
            raise DataError(f"{place}: holds no text files in class folders; wanted {_WANTED}")
        others = f" ({aside:,} other files left aside)" if aside else ""
        return FoundTexts(recognised=f"folders of texts {place}{others}", parts=sole_part(parts))


def _splits_given(files: Sequence[Stored], place: str) -> bool:
    """Whether the folders at the top are those of splits."""
    tops = {file.path.parts[0] for file in files if len(file.path.parts) > 1}
    given = sorted(top for top in tops if split_of(top))
    texts = {
        file.path.parts[0]
        for file in files
        if len(file.path.parts) > 1 and PurePosixPath(file.path).suffix.lower() == SUFFIX
    }
    others = sorted(texts - set(given))
    if given and others:
        raise DataError(
            f"{place}: has {', '.join(others[:5])} beside {', '.join(given)}; wanted either "
            "folders of splits (train, val, test) or folders of classes"
        )
    return bool(given)
