"""Whether questions with their contexts lie at a path, by what is in its files."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from luthier.data.readers.member import is_archive
from luthier.data.readers.place import below
from luthier.data.readers.questions import QuestionsSpec
from luthier.data.readers.rows import read_json, read_rows
from luthier.data.readers.splits import about_the_data
from luthier.data.readers.stored import Stored
from luthier.data.text.questions.question_reading import SUFFIXES
from luthier.errors import DataError

MOST_FILES = 100


def questions_at(place: Path) -> QuestionsSpec | None:
    """The settings that read the questions at `place`; none if there are none.

    Raises:
        DataError: If the place cannot be read.
    """
    if is_archive(place.name):
        return QuestionsSpec(path=str(place))
    if not place.is_dir():
        return QuestionsSpec(path=str(place)) if _has_questions(Stored.at(place)) else None
    found = itertools.islice(below(place), MOST_FILES)
    files = [Stored.at(place / relative, place) for relative, is_folder in found if not is_folder]
    data = [file for file in files if not about_the_data(file.path)]
    fits = [file for file in data if file.path.suffix.lower() in SUFFIXES]
    return QuestionsSpec(path=str(place)) if any(map(_has_questions, fits)) else None


def _has_questions(file: Stored) -> bool:
    suffix = file.path.suffix.lower()
    if suffix not in SUFFIXES:
        return False
    try:
        if suffix != ".json":
            first = next(iter(read_rows(file)), None)
            return first is not None and _asks(first[1])
        found = read_json(file)
    except DataError:
        return False  # whoever reads it tells what is wrong with it
    entries = found.get("data") if isinstance(found, dict) else found
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        return False
    return isinstance(entries[0].get("paragraphs"), list) or _asks(entries[0])


def _asks(values: Any) -> bool:
    return {"question", "context"} <= set(values)
