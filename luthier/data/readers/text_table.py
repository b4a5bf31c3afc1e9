"""Tables with a text and a label in each row: CSV, TSV, JSON lines, JSON or Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.readers.layout import split_of
from luthier.data.readers.naming import check_names
from luthier.data.readers.rows import TableForm, read_rows
from luthier.data.readers.splits import SplitFiles, locate, only_one
from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.found import (
    CutOff,
    FoundTexts,
    TextRow,
    label_in,
    problem_with,
    sole_part,
)
from luthier.data.text.labelled.texts import TextsSpec
from luthier.errors import DataError, nearest
from luthier.spec import Auto, Many

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")


class TextTableSpec(TextsSpec):
    """Texts with a label each, in a table: `.csv`, `.tsv`, `.jsonl`, `.json`, `.parquet`."""

    kind: Literal["text_table"] = "text_table"

    path: str | None = None
    """The table; or a folder or an archive with tables whose names say train, val (dev) or
    test."""
    files: SplitFiles | None = None
    """Instead of a path: the table of each split."""
    text: str | Many[str] = Field(default="text", union_mode="left_to_right")
    """The column with the text; or two, [premise, hypothesis], for pairs."""
    label: str = "label"
    """The column with the name or the number of the class."""
    split_column: str | None = None
    """The column that says train, val or test, if there is one."""
    columns: Many[str] | None = None
    """The names of all columns, where the file has no line with them."""
    delimiter: str | None = None
    """What stands between values; none means a tab in a .tsv file, else what the first line has:
    a comma, a semicolon (in a .csv file) or a tab. A space divides a line only until there is a
    value for each column."""
    quoted: bool | None = None
    """Whether values may stand in quotation marks; none means in a .csv file, and where the
    delimiter is a comma."""
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
        if len(self.texts) not in (1, 2) or len(set(self.texts)) < len(self.texts):
            got = ", ".join(self.texts) or "none"
            raise ValueError(f"text: got {got}; wanted a column, or two different ones for pairs")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\n\r'):
            raise ValueError(f'delimiter: got "{self.delimiter}"; wanted one character')
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns: got {', '.join(self.columns)}; wanted different names")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns with texts."""
        return (self.text,) if isinstance(self.text, str) else self.text

    def collect(self, faults: Faults) -> FoundTexts:
        """Every row of the table or tables."""
        what = f"a table ({', '.join(SUFFIXES)}), or a folder with one for each split"
        located = locate(self.path, self.files, what, SUFFIXES, faults)
        parts: dict[Split, list[TextRow]] = {}
        for split, tables in located.parts.items():
            for table in tables:
                for named, row in self._rows(table, faults):
                    parts.setdefault(named or split, []).append(row)
        return FoundTexts(
            recognised=f"table {located.told}",
            parts=sole_part(parts),
            decisions=located.decisions,
        )

    def _rows(self, table: Stored, faults: Faults) -> Iterator[tuple[Split | None, TextRow]]:
        form = TableForm(delimiter=self.delimiter, columns=self.columns, quoted=self.quoted)
        checked = False
        for place, values in read_rows(table, faults, form):
            if not checked:
                self._check_columns(table, values)
                checked = True
            split, problem = None, None
            if self.split_column is not None:
                split = split_of(str(values.get(self.split_column)))
                if split is None:
                    problem = f'has the split "{values.get(self.split_column)}"; wanted train, '
                    problem += "val or test"
            row, fault = self._row(place, values)
            if problem or row is None:
                faults.add(place, problem or fault)
            else:
                yield split, row

    def _row(self, place: str, values: Mapping[str, Any]) -> tuple[TextRow | None, str]:
        """One row of the table; or none, and why."""
        found = []
        for column in self.texts:
            text = values.get(column)
            problem = problem_with(text)
            if problem:
                return None, f'{problem} in the column "{column}"'
            found.append(str(text).strip())
        label, problem = label_in(values.get(self.label))
        if problem:
            return None, problem
        return TextRow(place, found[0], found[1] if len(found) > 1 else None, label), ""

    def _check_columns(self, table: Stored, values: Mapping[str, Any]) -> None:
        wanted = [("text", column) for column in self.texts] + [("label", self.label)]
        if self.split_column is not None:
            wanted.append(("split_column", self.split_column))
        for setting, column in wanted:
            if column not in values:
                told = nearest(column, [str(name) for name in values])
                advice = (
                    ""
                    if self.columns or table.path.suffix.lower() in (".jsonl", ".parquet", ".json")
                    else " If its first line holds no names, give them: data.columns=[…]"
                )
                ended = "" if told.endswith("?") or not advice else "."
                raise DataError(
                    f'{table.where}: has no column "{column}" (data.{setting}){told}{ended}{advice}'
                )
