"""Whether pairs of texts lie at a path, by the names of its columns or of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from luthier.data.faults import Faults
from luthier.data.pairs.pairs import PairsSpec
from luthier.data.readers.member import is_archive
from luthier.data.readers.place import below
from luthier.data.readers.rows import read_rows
from luthier.data.readers.splits import about_the_data
from luthier.data.readers.stored import Stored
from luthier.data.readers.text_table import SUFFIXES
from luthier.errors import DataError

USUAL = (
    ("source", "target"),
    ("src", "tgt"),
    ("dialogue", "summary"),
    ("document", "summary"),
    ("text", "summary"),
    ("article", "summary"),
    ("article", "highlights"),
    ("abstract", "title"),
    ("content", "title"),
    ("text", "title"),
)
"""Columns that are called so in data sets of translations, summaries and titles."""
PACKED = (".gz", ".bz2", ".xz")


def pairs_at(place: Path) -> PairsSpec | None:
    """The settings that read the pairs at `place`; none if there are none.

    Raises:
        DataError: If it is not clear which two are meant: a recipe says it.
    """
    if is_archive(place.name):
        return None
    if not place.is_dir():
        return _of_table(place, Stored.at(place))
    found = [Stored.at(place / name, place) for name, is_folder in below(place) if not is_folder]
    files = [file for file in found if not about_the_data(file.path)]
    tables = [file for file in files if file.path.suffix.lower() in SUFFIXES]
    if tables:
        return _of_table(place, tables[0])
    by_name: dict[str, list[str]] = {}
    for file in files:
        by_name.setdefault(str(file.path.with_suffix("")), []).append(file.path.suffix[1:])
    endings = sorted({one for same in by_name.values() if len(same) > 1 for one in same if one})
    return _two(place, endings, "files that end in") if endings else None


def _of_table(place: Path, table: Stored) -> PairsSpec | None:
    if table.path.suffix.lower() not in SUFFIXES:
        return None
    try:
        first = next(iter(read_rows(table, Faults("skip"))), None)
    except DataError:
        return None  # whoever reads it tells what is wrong with it
    columns = {} if first is None else first[1]
    for source, target in USUAL:
        if source in columns and target in columns:
            return PairsSpec(path=str(place), source=source, target=target)
    texts = _texts(columns)
    return _two(place, texts, "columns of texts:") if len(texts) > 1 else None


def _texts(columns: Mapping[str, object]) -> list[str]:
    """The columns whose first value is a text, and no number."""
    return [
        name
        for name, value in columns.items()
        if isinstance(value, str) and any(letter.isalpha() for letter in value)
    ]


def _two(place: Path, names: Sequence[str], what: str) -> PairsSpec:
    if len(names) != 2:
        raise DataError(
            f"{place}: has {what} {', '.join(names[:8])}, and nothing says which two belong "
            "together; write a recipe with data: {kind: pairs, path: …, source: …, target: …}, "
            "such as recipes/multi30k.yaml"
        )
    return PairsSpec(path=str(place), source=names[0], target=names[1])
