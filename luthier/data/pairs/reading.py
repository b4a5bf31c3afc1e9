"""Pairs of texts, read: two columns of a table, or two files line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.data.collection import SPLITS, Split
from luthier.data.faults import Faults
from luthier.data.pairs.found import FoundPairs, PairRow
from luthier.data.pairs.pairs import PairsSpec
from luthier.data.readers.lines import read_lines
from luthier.data.readers.place import existing
from luthier.data.readers.rows import TableForm, read_rows
from luthier.data.readers.splits import SplitFiles, about_the_data, by_split
from luthier.data.readers.stored import Stored, stored_files
from luthier.data.readers.text_table import SUFFIXES
from luthier.data.text.labelled.found import problem_with
from luthier.errors import DataError, nearest

WHAT = "a table, or a folder with tables or with two files for each split"
Named = tuple[str, str, Sequence[str]]
"""Where a pair stands, its source, and what is right to write of it."""


def read_pairs(spec: PairsSpec, faults: Faults) -> FoundPairs:
    """Every pair of every split.

    A pair of which a side is empty is left out and counted: it is no fault of the others.

    Args:
        spec: Where it is.
        faults: Takes up rows that cannot be used.

    Raises:
        DataError: If it is not there, it is not clear which files are meant, or two files have
            not as many lines.
    """
    place = existing(spec.path, WHAT)
    files = [file for file in stored_files(place, faults) if not about_the_data(file.path)]
    reader = _Reader(spec, faults)
    sides = [_ending(files, ending) for ending in (spec.source, spec.targets[0])]
    told = f"table {place}"
    if all(sides) and len(spec.targets) == 1:
        told = f"{place}, files .{spec.source} and .{spec.targets[0]}"
        parts = {
            split: [row for pair in pairs for row in reader.of_lines(*pair)]
            for split, pairs in _aligned(spec, place, *sides).items()
        }
    else:
        parts = {
            split: [row for table in tables for row in reader.of_table(table)]
            for split, tables in _tables(spec, place, files).items()
        }
    found: dict[Split, list[PairRow]] = {split: parts[split] for split in SPLITS if split in parts}
    if len(found) == 1:
        found = {"train": next(iter(found.values()))}
    return FoundPairs(recognised=told, parts=found, empty=reader.empty)


class _Reader:
    """Takes up rows, and what is wrong with them."""

    def __init__(self, spec: PairsSpec, faults: Faults) -> None:
        self.spec = spec
        self.faults = faults
        self.empty: list[str] = []

    def of_lines(self, first: Stored, second: Stored) -> list[PairRow]:
        """The pairs of two files."""
        lines = [list(read_lines(file)) for file in (first, second)]
        counts = [len(side) for side in lines]
        if counts[0] != counts[1]:
            raise DataError(
                f"{first.where} has {counts[0]:,} lines, but {second.where} has {counts[1]:,}; "
                "wanted as many: line n of one belongs to line n of the other"
            )
        rows = []
        for source, target in zip(*lines, strict=True):
            problem = source.problem or target.problem
            name = f"{first.name if source.problem or not problem else second.name} line "
            name += str(source.number)
            if problem:
                self.faults.add(name, problem)
            elif row := self._row(name, source.text, [target.text]):
                rows.append(row)
        return rows

    def of_table(self, table: Stored) -> Iterator[PairRow]:
        """The pairs of a table."""
        spec = self.spec
        form = TableForm(delimiter=spec.delimiter, columns=spec.columns, quoted=spec.quoted)
        checked = False
        for place, values in read_rows(table, self.faults, form):
            if not checked:
                _must_have_columns(spec, table, values)
                checked = True
            targets = [values[name] for name in spec.targets if values.get(name) is not None]
            if row := self._row(place, values.get(spec.source), targets):
                yield row

    def _row(self, name: str, source: Any, targets: Sequence[Any]) -> PairRow | None:
        written = [text for text in targets if not _is_empty(text)]
        if _is_empty(source) or not written:
            self.empty.append(name)
            return None
        for text in (source, *written):
            if problem := problem_with(text):
                self.faults.add(name, problem)
                return None
        return PairRow(
            name, source.strip(), written[0].strip(), tuple(t.strip() for t in written[1:])
        )


def _is_empty(text: Any) -> bool:
    return text is None or (isinstance(text, str) and not text.strip())


def _ending(files: Sequence[Stored], ending: str) -> dict[str, Stored]:
    """The files with an ending, by their names without it."""
    behind = f".{ending}"
    return {
        str(file.path).removesuffix(behind): file
        for file in files
        if str(file.path).endswith(behind)
    }


def _aligned(
    spec: PairsSpec, place: Path, sources: Mapping[str, Stored], targets: Mapping[str, Stored]
) -> dict[Split, list[tuple[Stored, Stored]]]:
    """The two files of each split."""
    endings = f".{spec.source} and .{spec.targets[0]}"
    if spec.files is not None:
        named = _named(spec.files)
        for split, name in named.items():
            for side, ending in ((sources, spec.source), (targets, spec.targets[0])):
                if name not in side:
                    raise DataError(
                        f"{place}: has no {name}.{ending} (data.files.{split})"
                        f"{nearest(name, list(side))}"
                    )
        return {split: [(sources[name], targets[name])] for split, name in named.items()}
    both = [name for name in sources if name in targets]
    if not both:
        raise DataError(
            f"{place}: has files that end in {endings}, but no two of one name; wanted such as "
            f"train.{spec.source} and train.{spec.targets[0]}"
        )
    parts = by_split([sources[name] for name in both], place)
    of = {sources[name].path: name for name in both}
    return {
        split: [(sources[of[file.path]], targets[of[file.path]]) for file in members]
        for split, members in parts.items()
    }


def _tables(spec: PairsSpec, place: Path, files: Sequence[Stored]) -> dict[Split, Sequence[Stored]]:
    """The tables of each split."""
    if spec.files is not None:
        by_name = {str(file.path): file for file in files}
        by_name |= {Path(file.where).name: file for file in files}
        named = _named(spec.files)
        for split, name in named.items():
            if name not in by_name:
                raise DataError(
                    f"{place}: has no {name} (data.files.{split}){nearest(name, list(by_name))}"
                )
        return {split: [by_name[name]] for split, name in named.items()}
    tables = [file for file in files if file.path.suffix.lower() in SUFFIXES]
    if len(files) == 1:
        tables = list(files)
    if not tables:
        wanted = ", ".join(SUFFIXES)
        raise DataError(
            f"{place}: holds no table ({wanted}), and no files that end in .{spec.source} and "
            f".{spec.targets[0]}; wanted {WHAT}"
        )
    return {split: list(found) for split, found in by_split(tables, place).items()}


def _named(files: SplitFiles) -> dict[Split, str]:
    """The names that a recipe gives."""
    named: dict[Split, str | None] = {
        "train": files.train,
        "validation": files.validation,
        "test": files.test,
    }
    return {split: name for split, name in named.items() if name is not None}


def _must_have_columns(spec: PairsSpec, table: Stored, values: Mapping[str, Any]) -> None:
    names = [str(name) for name in values]
    for setting, wanted in (("source", (spec.source,)), ("target", spec.targets)):
        if not any(column in values for column in wanted):
            told = nearest(wanted[0], names)
            raise DataError(
                f'{table.where}: has no column "{" or ".join(wanted)}" (data.{setting}){told}'
                f"{'' if told.endswith('?') else '.'} If its first line holds no names, give them: "
                "data.columns=[…]"
            )
