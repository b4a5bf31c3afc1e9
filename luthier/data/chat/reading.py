"""The conversations of files, read and put in splits."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from luthier.data.chat.chat import ChatSpec
from luthier.data.chat.conversation import Conversation, UnusableRowError
from luthier.data.chat.dataset_info import Described, described, is_dataset_info
from luthier.data.chat.row_columns import RowColumns, recognised
from luthier.data.chat.row_reading import Comparison, RowReading
from luthier.data.collection import SPLITS, Split
from luthier.data.decoding import Progress
from luthier.data.faults import Faults
from luthier.data.finding import Finding, counted
from luthier.data.readers.rows import Row, read_rows
from luthier.data.readers.splits import split_in_path
from luthier.data.readers.stored import Stored
from luthier.data.readers.text_files import TextFiles, opened, text_files
from luthier.data.split import make_splits
from luthier.data.text.documents.documents import as_lines
from luthier.errors import DataError
from luthier.spec import Decision

LOOKED_AT = 100
"""Rows that tell which columns a table has."""
TOLD_EVERY_ROWS = 1000
KEY_BYTES = 16
Read = TypeVar("Read", Conversation, Comparison)


@dataclass(frozen=True, kw_only=True)
class FoundChat(Generic[Read]):
    """What a place holds."""

    recognised: str
    parts: Mapping[Split, Sequence[Read]]
    decisions: tuple[Decision, ...]
    findings: tuple[Finding, ...]
    skipped: tuple[tuple[str, str], ...]


def read_conversations(spec: ChatSpec, progress: Progress | None = None) -> FoundChat[Conversation]:
    """Every conversation, by split.

    Raises:
        DataError: If they cannot be used, or there are none.
    """
    left_out = 0

    def read(reading: RowReading, name: str, values: Mapping[str, Any]) -> Conversation:
        nonlocal left_out
        found, behind = reading.conversation(name, values)
        left_out += behind
        return found

    found = _found(spec, read, lambda one: one.asked, progress)
    if not left_out:
        return found
    message = (
        f"{counted(left_out, 'message')} behind the last reply of a conversation left out: "
        "nothing answers them"
    )
    return FoundChat(
        recognised=found.recognised,
        parts=found.parts,
        decisions=found.decisions,
        findings=(*found.findings, Finding(severity="note", message=message)),
        skipped=found.skipped,
    )


def read_comparisons(spec: ChatSpec, progress: Progress | None = None) -> FoundChat[Comparison]:
    """Every pair of answers, or every answer with a label, by split.

    Raises:
        DataError: If they cannot be used, or there are none.
    """
    return _found(
        spec,
        lambda reading, name, values: reading.comparison(name, values),
        lambda one: "\0".join(f"{m.role}\0{m.content}" for m in one.prompt),
        progress,
    )


def _found(
    spec: ChatSpec,
    read: Callable[[RowReading, str, Mapping[str, Any]], Read],
    key: Callable[[Read], str],
    progress: Progress | None,
) -> FoundChat[Read]:
    faults = Faults(spec.on_error, ", ".join(spec.paths), "row")
    about, files = _located(spec)
    limit = spec.limit if about is None or about.limit is None else about.limit
    given: dict[Split | None, list[Read]] = {}
    columns: RowColumns | None = None
    rows = 0
    for table in _tables(files, faults):
        split = split_in_path(table.path)
        part = given.setdefault(split, [])
        for place, values, columns in _rows(spec, about, table, faults):
            if limit is not None and len(part) >= limit:
                break
            try:
                part.append(read(RowReading(columns=columns, system=spec.system), place, values))
            except UnusableRowError as error:
                faults.add(place, str(error))
            rows += 1
            if progress and rows % TOLD_EVERY_ROWS == 0:
                progress("reading conversations", rows, rows)
    faults.settle()
    what = ", ".join(spec.paths)
    if columns is None or not any(given.values()):
        first = f": {faults.found[0][0]} {faults.found[0][1]}" if faults.found else ""
        raise DataError(f"{what}: has no conversation that can be used{first}")
    parts, decisions = _divided(spec, {k: v for k, v in given.items() if v}, key, what)
    total = sum(map(len, parts.values()))
    unread = f"; not read: {', '.join(columns.aside)}" if columns.aside else ""
    return FoundChat(
        recognised=f"{what}: {counted(total, 'conversation')} as {columns.format}{unread}",
        parts=parts,
        decisions=decisions,
        findings=(),
        skipped=tuple(faults.found),
    )


def _located(spec: ChatSpec) -> tuple[Described | None, TextFiles]:
    """What a description says, where there is one; and the files."""
    path = spec.path if isinstance(spec.path, str) else None
    if path is not None and is_dataset_info(path):
        about = described(path, spec.dataset)
        return about, text_files([about.path])
    if spec.dataset is not None:
        raise DataError(
            f"data.dataset: got {spec.dataset}, but {', '.join(spec.paths)} is no "
            "dataset_info.json; leave it out"
        )
    return None, spec.files()


def _tables(files: TextFiles, faults: Faults) -> Iterator[Stored]:
    for file in files.files:
        for stored, form in opened(file, faults):
            if form != "table":
                raise DataError(
                    f"{stored.where}: is no table; conversations lie in .jsonl, .json, .csv, .tsv "
                    "or .parquet files"
                )
            yield as_lines(stored)


def _rows(
    spec: ChatSpec, about: Described | None, table: Stored, faults: Faults
) -> Iterator[tuple[str, Mapping[str, Any], RowColumns]]:
    """The rows of a table, and what its columns hold."""
    rows: Iterator[Row] = read_rows(table, faults, any_size=True)
    first = list(itertools.islice(rows, LOOKED_AT))
    if not first:
        return
    names = list(dict.fromkeys(name for _, values in first for name in values))
    renamed = dict(spec.columns)
    if about is not None:
        told = {field: column for field, column in about.columns.items() if column in names}
        renamed = {**told, **renamed}
    tags = None if about is None else about.tags
    columns = recognised(table.where, names, renamed, spec.ignore, tags)
    known = {*columns.names.values(), *columns.aside}
    for place, values in itertools.chain(first, rows):
        strange = values.keys() - known
        if strange:
            faults.add(place, f'has the column "{sorted(strange)[0]}", which no row had before')
            continue
        yield place, values, columns


def _divided(
    spec: ChatSpec,
    given: Mapping[Split | None, list[Read]],
    key: Callable[[Read], str],
    what: str,
) -> tuple[dict[Split, list[Read]], tuple[Decision, ...]]:
    """The given splits, and those that are made: conversations that begin alike on one side."""
    if None in given and len(given) > 1:
        named = ", ".join(split for split in given if split)
        raise DataError(
            f"{what}: some files are called {named}, others are not; call all of them so, or name "
            "the files to read in data.path"
        )
    parts: dict[Split, list[Read]] = {split: given[split] for split in SPLITS if split in given}
    if len(given) == 1 or "train" not in parts:
        parts = {"train": [row for rows in given.values() for row in rows]}
    sizes = {split: len(rows) for split, rows in parts.items()}
    train = parts["train"]
    made, decisions = make_splits(
        spec.split,
        sizes,
        np.zeros(len(train), dtype=np.int64),
        lambda: hashes([key(row) for row in train]),
        "questions",
    )
    parts |= {split: [train[row] for row in rows] for split, rows in made.items()}
    told = tuple(
        Decision(
            place=each.place,
            value=each.value,
            reason="the data has none; a choice at random is set apart, those that begin alike on "
            "one side",
        )
        for each in decisions
    )
    return {split: parts[split] for split in SPLITS if split in parts}, told


def hashes(texts: Sequence[str]) -> np.ndarray:
    """`(N,)`, equal for equal texts."""
    found = [
        hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=KEY_BYTES).digest()
        for text in texts
    ]
    return np.frombuffer(b"".join(found), dtype=np.dtype((np.void, KEY_BYTES)))
