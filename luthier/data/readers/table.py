"""Pictures with a table that names each file and its label: CSV, JSON lines or Parquet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from luthier.data.collection import SPLITS, Collection, Part, Split
from luthier.data.faults import Faults
from luthier.data.images import ImagesSpec
from luthier.data.readers.folder import PictureFile, stamp_of
from luthier.data.readers.layout import split_of
from luthier.data.readers.naming import sorted_names, unknown_class
from luthier.data.readers.place import existing, names
from luthier.data.readers.rows import TABLE_SUFFIXES, read_rows
from luthier.data.readers.stored import Stored
from luthier.errors import DataError, nearest

STEM = "metadata"


class ImageTableSpec(ImagesSpec):
    """Pictures that a table lists: `metadata.csv`, `.tsv`, `.jsonl` or `.parquet`."""

    kind: Literal["image_table"] = "image_table"

    path: str
    """The table; or a folder with `metadata.csv` (`.jsonl`, `.parquet`), or with one in each of
    its folders train, val and test."""
    file_column: str = "file_name"
    """The column with the picture's file, below the table's folder."""
    label_column: str = "label"
    """The column with the name or the number of the class."""
    split_column: str | None = None
    """The column that says train, val or test, if there is one."""
    root: str | None = None
    """The folder that file names start from; none means the table's own."""

    def collect(self, faults: Faults) -> Collection:
        """Every row of the table or tables."""
        tables = self._tables()
        rows = [row for split, table in tables for row in self._rows(table, split, faults)]
        if not rows:
            faults.settle()  # if all were at fault, their faults tell more
            raise DataError(f"{tables[0][1]}: holds no rows that can be used")
        classes = self.classes
        if classes == "auto":
            classes = sorted_names(row.label for row in rows)
        number = {name: position for position, name in enumerate(classes)}
        for row in rows:
            if row.label not in number:
                faults.add(row.picture.name, unknown_class(row.label, classes))
        parts: dict[Split, Part] = {}
        for split in SPLITS:
            kept = [row for row in rows if row.split == split and row.label in number]
            if kept:
                labels = np.array([number[row.label] for row in kept], dtype=np.int64)
                parts[split] = Part(labels=labels, pictures=[row.picture for row in kept])
        if len(parts) == 1:
            parts = {"train": next(iter(parts.values()))}
        counts = " and ".join(f"{len(part.labels):,} {name}" for name, part in parts.items())
        where = tables[0][1] if len(tables) == 1 else f"{len(tables)} tables in {self.path}"
        return Collection(
            recognised=f"table {where}: {counts} pictures of {len(classes)} classes",
            classes=classes,
            parts=parts,
        )

    def stamp(self) -> str | None:
        """The names, sizes and times of the tables and of the pictures that they name."""
        stamps = []
        for split, table in self._tables():
            stamps.append(stamp_of(table.parent, [PurePosixPath(table.name)]))
            rows = self._rows(table, split, Faults("skip"))
            files = [PurePosixPath(row.picture.path) for row in rows]
            stamps.append(stamp_of(Path("/"), files))
        return "/".join(stamps)

    def _tables(self) -> list[tuple[Split | None, Path]]:
        """The tables, and the split that a table's folder stands for."""
        place = existing(self.path, "a table, or a folder with metadata.csv")
        if not place.is_dir():
            if place.suffix.lower() not in TABLE_SUFFIXES:
                raise DataError(f"{place}: wanted a table: {', '.join(TABLE_SUFFIXES)}")
            return [(None, place)]
        own = table_in(place)
        if own:
            return [(None, own)]
        found: list[tuple[Split | None, Path]] = []
        for name in names(place):
            split = split_of(name)
            table = table_in(place / name) if split and (place / name).is_dir() else None
            if table:
                found.append((split, table))
        if not found:
            raise DataError(
                f"{place}: has no {STEM}.csv, .tsv, .jsonl or .parquet; name the table itself "
                "if it is called otherwise"
            )
        return found

    def _rows(self, table: Path, split: Split | None, faults: Faults) -> list[_Row]:
        rows, checked = [], False
        base = table.parent if self.root is None else existing(self.root, "the pictures' folder")
        for place, values in read_rows(Stored.at(table)):
            if not checked:
                self._check_columns(table, values)
                checked = True
            row = self._row(place, values, base, split, faults)
            if row:
                rows.append(row)
        return rows

    def _check_columns(self, table: Path, values: Mapping[str, Any]) -> None:
        for setting in ("file_column", "label_column", "split_column"):
            column = getattr(self, setting)
            if column is not None and column not in values:
                raise DataError(
                    f'{table}: has no column "{column}" (data.{setting})'
                    f"{nearest(column, [str(name) for name in values])}"
                )

    def _row(
        self,
        place: str,
        values: Mapping[str, Any],
        base: Path,
        split: Split | None,
        faults: Faults,
    ) -> _Row | None:
        """One row of the table; none, and a fault, if it cannot be used."""
        file, label = values.get(self.file_column), values.get(self.label_column)
        if not isinstance(file, str) or not file:
            faults.add(place, f'names no file in the column "{self.file_column}"')
            return None
        if label is None or label == "" or isinstance(label, float | bool | list | dict):
            faults.add(
                file, f"has {_shown(label)} as its label ({place}); wanted a name or a whole number"
            )
            return None
        relative = PurePosixPath(file.replace("\\", "/"))
        if relative.is_absolute() or ".." in relative.parts or "\0" in file:
            faults.add(file, f"leaves the folder {base} ({place}); set data.root")
            return None
        if self.split_column is not None:
            named = values.get(self.split_column)
            split = split_of(str(named))
            if split is None:
                faults.add(file, f'has the split "{named}" ({place}); wanted train, val or test')
                return None
        path = base / relative
        if not os.path.isfile(path):  # says no to a name that is too long, where Path raises
            faults.add(file, f"does not exist in {base} ({place})")
            return None
        return _Row(split or "train", str(label), PictureFile(path, str(relative)))


@dataclass(frozen=True)
class _Row:
    split: Split
    label: str
    picture: PictureFile


def table_in(folder: Path) -> Path | None:
    """The metadata table in a folder, if there is one.

    Raises:
        DataError: If there are several.
    """
    found = [
        folder / (STEM + suffix)
        for suffix in TABLE_SUFFIXES
        if (folder / (STEM + suffix)).is_file()
    ]
    if len(found) > 1:
        told = " and ".join(path.name for path in found)
        raise DataError(f"{folder}: has {told}; name the one to use in data.path")
    return found[0] if found else None


def _shown(value: Any) -> str:
    return "nothing" if value is None or value == "" else repr(value)
