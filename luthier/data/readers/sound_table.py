"""Tables that name sounds, with a label or a text for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from pydantic import model_validator

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.readers.layout import split_of
from luthier.data.readers.member import is_archive
from luthier.data.readers.place import existing
from luthier.data.readers.rows import read_rows
from luthier.data.readers.splits import SplitFiles, locate, only_one
from luthier.data.readers.stored import Stored, stored_files
from luthier.data.sound.found import FoundSounds, SoundRow, sole_part
from luthier.data.sound.sounds import SoundsSpec
from luthier.data.text.labelled.found import label_in, problem_with
from luthier.errors import DataError, nearest
from luthier.spec import Auto, Decision

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
USUAL: Mapping[str, tuple[str, ...]] = {
    "file": ("path", "file", "file_name", "filename", "audio_filepath", "audio", "wav", "sound"),
    "label": ("label", "class", "category", "intent", "command", "speaker"),
    "text": ("text", "transcription", "transcript", "sentence", "wrd", "normalized_text"),
}
"""What columns are called: AudioFolder, NeMo, SpeechBrain, Common Voice and others."""


class SoundTableSpec(SoundsSpec):
    """Sounds that a table names: `.csv`, `.tsv`, `.jsonl`, `.json`, `.parquet`.

    The manifests of NeMo and SpeechBrain, AudioFolder's metadata.csv and the tables of Common
    Voice are read as they are.
    """

    kind: Literal["sound_table"] = "sound_table"

    path: str | None = None
    """The table; or a folder with tables whose names say train, val (dev) or test."""
    files: SplitFiles | None = None
    """Instead of a path: the table of each split."""
    sounds: str | None = None
    """The folder or the archive that the names of sounds are below; none means the folder of the
    table."""
    file: str | Auto = "auto"
    """The column with the name of the sound's file."""
    label: str | Auto = "auto"
    """The column with the class."""
    text: str | Auto = "auto"
    """The column with what is said."""
    split_column: str | None = None
    """The column that says train, val or test, if there is one."""

    @model_validator(mode="after")
    def _usable_table(self) -> Self:
        only_one(self.path, self.files)
        return self

    def collect(self, faults: Faults) -> FoundSounds:
        """Every row of the table or tables."""
        what = f"a table ({', '.join(SUFFIXES)}), or a folder with one for each split"
        located = locate(self.path, self.files, what, SUFFIXES, faults)
        parts: dict[Split, list[SoundRow]] = {}
        decisions: dict[str, Decision] = {}
        for split, tables in located.parts.items():
            for table in tables:
                for named, row in self._rows(table, faults, decisions):
                    parts.setdefault(named or split, []).append(row)
        if not parts:
            faults.settle()  # if all were at fault, their faults tell more
            raise DataError(f"{located.told}: names no sounds")
        return FoundSounds(
            recognised=f"sounds of the table {located.told}",
            parts=sole_part(parts),
            decisions=(*located.decisions, *decisions.values()),
        )

    def _rows(
        self, table: Stored, faults: Faults, decisions: dict[str, Decision]
    ) -> Iterator[tuple[Split | None, SoundRow]]:
        columns: dict[str, str | None] = {}
        find = self._finder(table, faults)
        for place, values in read_rows(table, faults):
            if not columns:
                columns = self._columns(table, list(values))
                for setting, name in columns.items():
                    if getattr(self, setting) == "auto" and name is not None:
                        decisions[setting] = Decision(
                            place=f"data.{setting}", value=name, reason="it is called so"
                        )
            split, row, problem = self._row(place, values, columns, find)
            if row is None:
                faults.add(place, problem)
            else:
                yield split, row

    def _row(
        self,
        place: str,
        values: Mapping[str, Any],
        columns: Mapping[str, str | None],
        find: _Finder,
    ) -> tuple[Split | None, SoundRow | None, str]:
        """One row of the table; or none, and why."""
        split = None
        if self.split_column is not None:
            split = split_of(str(values.get(self.split_column)))
            if split is None:
                got = values.get(self.split_column)
                return None, None, f'has the split "{got}"; wanted train, val or test'
        file, label, text = (
            None if columns[name] is None else values.get(str(columns[name]))
            for name in ("file", "label", "text")
        )
        problem = problem_with(file)
        if problem:
            return None, None, f'{problem} in the column "{columns["file"]}"'
        sound = find(str(file))
        if sound is None:
            return None, None, f"names the sound {file}, which does not exist"
        if columns["label"] is not None:
            label, problem = label_in(label)
            if problem:
                return None, None, problem
        if text is not None and not isinstance(text, str):
            text = str(text)
        row = SoundRow(
            name=str(file),
            parts=(sound,),
            label=None if columns["label"] is None else str(label),
            text=text if columns["text"] is not None else None,
        )
        return split, row, ""

    def _columns(self, table: Stored, there: Sequence[str]) -> dict[str, str | None]:
        """The name of the column for each setting; none where there is none."""
        found: dict[str, str | None] = {}
        for setting, usual in USUAL.items():
            given = getattr(self, setting)
            if given == "auto":
                found[setting] = next((name for name in usual if name in there), None)
            elif given not in there:
                raise DataError(
                    f'{table.where}: has no column "{given}" (data.{setting})'
                    f"{nearest(given, there)}"
                )
            else:
                found[setting] = given
        if self.split_column is not None and self.split_column not in there:
            raise DataError(
                f'{table.where}: has no column "{self.split_column}" (data.split_column)'
                f"{nearest(self.split_column, there)}"
            )
        if found["file"] is None:
            raise DataError(
                f"{table.where}: has no column with names of sounds; it has {', '.join(there)}: "
                "say which, data.file=…"
            )
        return found

    def _finder(self, table: Stored, faults: Faults) -> _Finder:
        if self.sounds is None:
            return _Finder(Path(table.where.split(":")[0]).parent, {})
        place = existing(self.sounds, "the folder or the archive of the sounds")
        if not is_archive(place.name):
            return _Finder(place, {})
        return _Finder(None, {file.path: file for file in stored_files(place, faults)})


class _Finder:
    """Finds the sound of a name.

    Args:
        root: The folder that names are below; none where they are in an archive.
        members: Of the archive, by path.
    """

    def __init__(self, root: Path | None, members: Mapping[PurePosixPath, Stored]) -> None:
        self._root = root
        self._members = members

    def __call__(self, name: str) -> Stored | None:
        if self._root is None:
            return self._members.get(PurePosixPath(name))
        place = self._root / name  # an absolute name stays as it is
        return Stored.at(place) if place.is_file() else None
