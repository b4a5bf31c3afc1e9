"""The rows of tables: CSV, TSV, JSON lines, JSON and Parquet."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from luthier.data.faults import Faults
from luthier.data.readers.lines import LONGEST_LINE_BYTES, Line, read_lines
from luthier.data.readers.stored import Stored
from luthier.errors import DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
MAX_TABLE_BYTES = 2 * 2**30
PARQUET_ROWS = 4096
Row = tuple[str, Mapping[str, Any]]
"""Where a row stands, for messages (`metadata.csv line 3`), and its values by column."""
_Values = tuple[int, list[str], str | None]
"""The number of a line, its values, and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class TableForm:
    """How lines of values are written, where a file's name does not say it."""

    delimiter: str | None = None
    """What stands between values; none means a tab in a .tsv file, else what the first line has:
    a comma, a semicolon (in a .csv file) or a tab. A space divides a line only until there is a
    value for each column."""
    columns: tuple[str, ...] | None = None
    """Their names, where the file has no line with them."""
    quoted: bool | None = None
    """Whether values may stand in quotation marks; none means in a .csv file, and where the
    delimiter is a comma."""


def read_rows(
    table: Stored,
    faults: Faults | None = None,
    form: TableForm | None = None,
    *,
    any_size: bool = False,
) -> Iterator[Row]:
    """The rows of a table, whatever its format.

    Args:
        table: Where it lies.
        faults: Takes up rows that cannot be read; none stops at the first.
        form: Of lines of values.
        any_size: Whether it may be larger than `MAX_TABLE_BYTES`: for who keeps no rows. Not of a
            .json file, which is read as a whole.

    Raises:
        DataError: If the table cannot be read or parsed.
    """
    suffix = table.path.suffix.lower()
    most = None if any_size else MAX_TABLE_BYTES
    problems = _Problems(table, faults)
    if suffix == ".parquet":
        yield from _parquet(table, most)
    elif suffix == ".json":
        yield from _json(table)
    elif suffix in (".jsonl", ".ndjson"):
        yield from _json_lines(table, problems, most)
    else:
        yield from _separated(table, problems, form or TableForm(), most)


class _Problems:
    """What is wrong with single rows of a table."""

    def __init__(self, table: Stored, faults: Faults | None) -> None:
        self._table = table
        self._faults = faults

    def add(self, line: int, reason: str) -> None:
        if self._faults is None:
            raise DataError(f"{self._table.where}: line {line} {reason}")
        self._faults.add(f"{self._table.name} line {line}", reason)


def _lines(table: Stored, most: int | None) -> Iterator[Line]:
    """Lines of a table that has not too many characters as a whole."""
    characters = 0
    for line in read_lines(table):
        characters += len(line.text)
        if most is not None and characters > most:
            raise DataError(f"{table.where}: is larger than {most // 2**30} GiB")
        yield line


def _separated(
    table: Stored, problems: _Problems, form: TableForm, most: int | None
) -> Iterator[Row]:
    suffix = table.path.suffix.lower()
    text = _lines(table, most)
    first = list(itertools.islice(text, 1))
    text = itertools.chain(first, text)
    delimiter = form.delimiter or _delimiter(suffix, first[0].text if first else "")
    quoted = form.quoted if form.quoted is not None else suffix == ".csv" or delimiter == ","
    columns: Sequence[str] = form.columns or ()
    lists = _quoted(text, table, delimiter) if quoted else _divided(text, delimiter, len(columns))
    for number, values, problem in lists:
        if not columns:
            if problem:
                raise DataError(f"{table.where}: line {number} {problem}")
            if len(set(values)) < len(values):
                told = ", ".join(values)
                raise DataError(f"{table.where}: two columns have the same name: {told}")
            columns = values
        elif problem:
            problems.add(number, problem)
        elif len(values) > len(columns):
            advice = (
                "quote values that hold a comma"
                if quoted and delimiter == ","
                else "name all columns in data.columns, or set data.delimiter or data.quoted"
            )
            problems.add(number, f"has more values than the {len(columns)} columns; {advice}")
        else:
            filled = [*values, *[None] * (len(columns) - len(values))]
            yield f"{table.name} line {number}", dict(zip(columns, filled, strict=True))
    if not columns:
        raise DataError(f"{table.where}: is empty; wanted a line with the names of the columns")


def _delimiter(suffix: str, first: str) -> str:
    """What divides the values of a table whose first line is this."""
    if suffix == ".tsv":
        return "\t"
    likely = ",;\t" if suffix == ".csv" else "\t,"
    return next((sign for sign in likely if sign in first), ",")


def _quoted(lines: Iterator[Line], table: Stored, delimiter: str) -> Iterator[_Values]:
    """Values that may stand in quotation marks, and then go over several lines."""
    wrong: dict[int, str] = {}

    def texts() -> Iterator[str]:
        for line in lines:
            if line.problem:
                wrong[line.number] = line.problem
            yield line.text + "\n"

    csv.field_size_limit(LONGEST_LINE_BYTES)  # the usual limit, 128 KiB, is below a long document
    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    done = 0
    try:
        for values in reader:
            done = reader.line_num
            if wrong:
                number, problem = next(iter(wrong.items()))
                wrong.clear()
                yield number, [], problem
            elif values:
                yield done, values, None
    except csv.Error as error:
        raise DataError(f"{table.where}: after line {done}: {error}") from None


def _divided(lines: Iterator[Line], delimiter: str, columns: int) -> Iterator[_Values]:
    """Values that run up to the next delimiter, whatever is in them."""
    for line in lines:
        if not line.text.strip() and not line.problem:
            continue
        most = columns - 1 if delimiter.isspace() and delimiter != "\t" and columns else -1
        values = line.text.split(delimiter, most)
        columns = columns or len(values)
        yield line.number, values, line.problem


def _json_lines(table: Stored, problems: _Problems, most: int | None) -> Iterator[Row]:
    for number, text, problem in _lines(table, most):
        if problem:
            problems.add(number, problem)
            continue
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            problems.add(number, f"is no JSON: {error}")
            continue
        if isinstance(values, dict):
            yield f"{table.name} line {number}", values
        else:
            problems.add(number, "is no object; wanted {...}")


def _json(table: Stored) -> Iterator[Row]:
    """A list of objects; or an object in which one stands, and nothing else that could be it."""
    found = read_json(table)
    lists = [found]
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
    if len(lists) != 1 or not isinstance(lists[0], list):
        raise DataError(f"{table.where}: wanted a list of objects: [{{...}}, ...]")
    for number, values in enumerate(lists[0], start=1):
        if not isinstance(values, dict):
            raise DataError(f"{table.where}: entry {number} is no object; wanted {{...}}")
        yield f"{table.name} entry {number}", values


def read_json(file: Stored) -> Any:
    """A JSON document.

    Raises:
        DataError: If it is none, or is too large.
    """
    with file.open() as stream:
        data = stream.read(MAX_TABLE_BYTES + 1)
    if len(data) > MAX_TABLE_BYTES:
        raise DataError(f"{file.where}: is larger than {MAX_TABLE_BYTES // 2**30} GiB")
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.where}: is not UTF-8 text: byte 0x{data[error.start]:02x} at byte "
            f"{error.start:,}"
        ) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{file.where}: is no JSON: {error}") from None


def _parquet(table: Stored, most: int | None) -> Iterator[Row]:
    number = 0
    try:
        with table.open() as stream, pq.ParquetFile(stream) as file:
            head = file.metadata
            groups = range(head.num_row_groups)
            unpacked = sum(head.row_group(group).total_byte_size for group in groups)
            if most is not None and unpacked > most:
                raise DataError(f"{table.where}: unpacks to more than {most // 2**30} GiB")
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield f"{table.name} row {number}", values
    except UnicodeDecodeError:
        raise DataError(f"{table.where}: is not UTF-8 text, after row {number}") from None
    except pa.ArrowException as error:
        raise DataError(f"{table.where}: is no usable Parquet file: {error}") from None
