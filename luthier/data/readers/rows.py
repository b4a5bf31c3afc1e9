"""The rows of tables: CSV, TSV, JSON lines and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from luthier.errors import DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
MAX_TABLE_BYTES = 2 * 2**30
PARQUET_ROWS = 4096
Row = tuple[str, Mapping[str, Any]]
"""Where a row stands, for messages (`metadata.csv line 3`), and its values by column."""


def read_rows(table: Path) -> Iterator[Row]:
    """The rows of a table, whatever its format.

    Raises:
        DataError: If it cannot be read or parsed.
    """
    readers = {".jsonl": _json_lines, ".parquet": _parquet}
    reader = readers.get(table.suffix.lower(), _separated)
    try:
        if table.stat().st_size > MAX_TABLE_BYTES:
            raise DataError(f"{table}: is larger than {MAX_TABLE_BYTES // 2**30} GiB")
        yield from reader(table)
    except UnicodeDecodeError as error:
        raise DataError(f"{table}: is not UTF-8 text, near byte {error.start}") from None
    except pa.ArrowException as error:
        raise DataError(f"{table}: is no usable Parquet file: {error}") from None
    except OSError as error:
        raise DataError(f"{table}: cannot be read: {error.strerror or error}") from None


def _separated(table: Path) -> Iterator[Row]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        tabbed = table.suffix.lower() == ".tsv"
        reader = csv.DictReader(file, delimiter="\t" if tabbed else ",", strict=True)
        try:
            header: Sequence[str] = reader.fieldnames or ()
            if not header:
                raise DataError(f"{table}: is empty; wanted a line with the names of the columns")
            if len(set(header)) < len(header):
                raise DataError(f"{table}: two columns have the same name: {', '.join(header)}")
            for values in reader:
                if None in values:
                    raise DataError(
                        f"{table}: line {reader.line_num} has more values than the "
                        f"{len(header)} columns; quote values that hold a comma"
                    )
                yield f"{table.name} line {reader.line_num}", values
        except csv.Error as error:
            raise DataError(f"{table}: after line {reader.line_num}: {error}") from None


def _json_lines(table: Path) -> Iterator[Row]:
    with table.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise DataError(f"{table}: line {number} is no JSON: {error}") from None
            if not isinstance(values, dict):
                raise DataError(f"{table}: line {number} is no object; wanted {{...}}")
            yield f"{table.name} line {number}", values


def _parquet(table: Path) -> Iterator[Row]:
    with pq.ParquetFile(table) as file:
        head = file.metadata
        unpacked = sum(
            head.row_group(group).total_byte_size for group in range(head.num_row_groups)
        )
        if unpacked > MAX_TABLE_BYTES:
            raise DataError(f"{table}: unpacks to more than {MAX_TABLE_BYTES // 2**30} GiB")
        number = 0
        for batch in file.iter_batches(batch_size=PARQUET_ROWS):
            for values in batch.to_pylist():
                number += 1
                yield f"{table.name} row {number}", values
