"""Which source of texts with labels or tags lies at a path, by what is in its files."""

from __future__ import annotations

import itertools
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.readers.clinc import FILE, ClincSpec, is_clinc
from luthier.data.readers.conll import LISTS, ConllSpec
from luthier.data.readers.layout import split_of
from luthier.data.readers.lines import read_lines
from luthier.data.readers.member import is_archive
from luthier.data.readers.place import below
from luthier.data.readers.rows import TableForm, read_json, read_rows
from luthier.data.readers.snips import SnipsSpec, snips_files
from luthier.data.readers.splits import about_the_data, split_in_path
from luthier.data.readers.stored import Stored
from luthier.data.readers.text_folder import SUFFIX, TextFolderSpec
from luthier.data.readers.text_lines import TextLinesSpec
from luthier.data.readers.text_table import SUFFIXES, TextTableSpec
from luthier.data.text.labelled.labelled import LabelledSpec
from luthier.errors import DataError

LOOKED_AT = 500
"""Rows, lines or files: enough to see what they are."""
MOST_CLASSES = 20
"""Different first words of lines that may be labels."""
LONGEST_LABEL = 40
SMALL_BYTES = 64 * 2**20
_LABELS = ("label", "labels", "category", "class", "target", "intent", "sentiment", "topic")
_PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
)
_TEXTS = ("text", "sentence", "content", "review", "title", "utterance", "question", "query")
_PICTURES = {"file_name", "image", "image_path"}
_TAG = re.compile(r"O|[BIESLUMW]-\S+")
_LABEL_FIRST = re.compile(r"(\d+|__label__\S+) +\S")


def labelled_texts_at(place: Path) -> LabelledSpec | None:
    """The settings that read the texts with labels or tags at `place`; none if there are none.

    Raises:
        DataError: If the place cannot be read.
    """
    path = str(place)
    if is_archive(place.name):
        return _by_names(_members(place), path)
    if not place.is_dir():
        return _of_files({"train": Stored.at(place)}, path)
    found = itertools.islice(below(place), 20 * LOOKED_AT)
    files = [Stored.at(place / relative, place) for relative, is_folder in found if not is_folder]
    named = _by_names([file.path for file in files], path)
    if named is not None:
        return named
    flat = [file for file in files if len(file.path.parts) == 1 and not about_the_data(file.path)]
    if len(flat) == 1 and is_archive(flat[0].name):
        return labelled_texts_at(place / flat[0].name)
    parts: dict[Split, Stored] = {}
    for file in flat:
        split = split_in_path(file.path)
        if split:
            parts.setdefault(split, file)
    if "train" in parts:
        return _of_files(parts, path)
    return _of_files({"train": flat[0]}, path) if len(flat) == 1 else None


def _by_names(paths: Sequence[PurePosixPath], path: str) -> LabelledSpec | None:
    """What the names of files say alone."""
    files = [at for at in paths if not about_the_data(at)]
    if snips_files([Stored(at, str(at)) for at in files]):
        return SnipsSpec(path=path)
    if any(at.name == FILE for at in files):
        return ClincSpec(path=path)
    texts = [at for at in files if at.suffix.lower() == SUFFIX]
    depth = 2 if any(split_of(at.parts[0]) for at in texts) else 1
    classes = {at.parts[depth - 1] for at in texts if len(at.parts) == depth + 1}
    if len(classes) > 1:
        return TextFolderSpec(path=path)
    return TextLinesSpec(path=path) if _named_by_class(files) else None


def _named_by_class(files: Sequence[PurePosixPath]) -> bool:
    """Whether names are equal but for their ending, as `reviews.pos` and `reviews.neg`."""
    if len({at.with_suffix("") for at in files}) != 1 or any(map(split_in_path, files)):
        return False
    endings = {at.suffix for at in files}
    return 1 < len(endings) <= MOST_CLASSES and not endings & {*SUFFIXES, SUFFIX}


def _members(archive: Path) -> list[PurePosixPath]:
    """The names of the first files of an archive, below the one folder that all lie in."""
    try:
        if archive.suffix.lower() == ".zip":
            with zipfile.ZipFile(archive) as members:
                names = [entry.filename for entry in members.infolist() if not entry.is_dir()]
        else:
            with tarfile.open(archive) as packed:
                names = [m.name for m in itertools.islice(packed, LOOKED_AT) if m.isreg()]
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile):
        return []  # whoever reads it tells what is wrong with it
    paths = [PurePosixPath(name) for name in names]
    tops = {at.parts[0] for at in paths if at.parts}
    if len(tops) == 1 and all(len(at.parts) > 1 for at in paths):
        paths = [PurePosixPath(*at.parts[1:]) for at in paths]
    return [at for at in paths if at.parts]


def _of_files(parts: Mapping[Split, Stored], path: str) -> LabelledSpec | None:
    """What the first lines of the training file say."""
    file = parts["train"]
    suffix = file.path.suffix.lower()
    try:
        small = suffix == ".json" and Path(file.where).stat().st_size <= SMALL_BYTES
        if small and is_clinc(read_json(file)):
            return ClincSpec(path=path)
        if suffix in SUFFIXES:
            return _of_rows(file, path)
        lines = [line.text for line in itertools.islice(read_lines(file), LOOKED_AT)]
    except DataError:
        return None  # whoever reads it tells what is wrong with it
    filled = [line for line in lines if line.strip()]
    if not filled:
        return None
    tagged = [line.split() for line in filled]
    if all(len(words) > 1 and _TAG.fullmatch(words[-1]) for words in tagged):
        return ConllSpec(path=path)
    first = {line.split(" ", 1)[0] for line in filled}
    if all(_LABEL_FIRST.match(line) for line in filled) and 1 < len(first) <= MOST_CLASSES:
        return TextTableSpec(path=path, delimiter=" ", columns=("label", "text"))
    return None


def _of_rows(file: Stored, path: str) -> LabelledSpec | None:
    rows = _head(file, None)
    if not rows or _PICTURES & rows[0].keys():
        return None
    names = [str(name) for name in rows[0]]
    if isinstance(rows[0].get("tokens"), list) and {"ner_tags", "tags"} & rows[0].keys():
        return ConllSpec(path=path)
    lower = {name.lower(): name for name in names}
    label = next((lower[name] for name in _LABELS if name in lower), None)
    pair = next((p for p in _PAIRS if all(name in lower for name in p)), None)
    text = next((lower[name] for name in _TEXTS if name in lower), None)
    if label and pair:
        return TextTableSpec(path=path, text=tuple(lower[name] for name in pair), label=label)
    if label and text:
        return TextTableSpec(path=path, text=text, label=label)
    if file.path.suffix.lower() in LISTS or label or text:
        return None
    return _without_header(file, path, len(names))


def _without_header(file: Stored, path: str, count: int) -> LabelledSpec | None:
    """A table whose first line holds values: a column with few short ones, and one with texts."""
    columns = tuple(f"column_{number}" for number in range(1, count + 1))
    rows = _head(file, columns)
    values = {name: [str(row[name] or "") for row in rows] for name in columns}
    length = {name: sum(map(len, values[name])) / max(len(rows), 1) for name in columns}
    labels = [
        name
        for name in columns
        if 1 < len(set(values[name])) <= max(2, len(rows) // 10)
        and max(map(len, values[name])) <= LONGEST_LABEL
    ]
    others = [name for name in columns if name not in labels]
    if len(labels) != 1 or not others:
        return None
    text = max(others, key=lambda name: length[name])
    renamed = {labels[0]: "label", text: "text"}
    return TextTableSpec(path=path, columns=tuple(renamed.get(name, name) for name in columns))


def _head(file: Stored, columns: tuple[str, ...] | None) -> list[Mapping[str, Any]]:
    rows = read_rows(file, Faults("skip"), TableForm(columns=columns))
    return [values for _, values in itertools.islice(rows, LOOKED_AT)]
