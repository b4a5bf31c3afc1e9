"""An evaluation on the disk: numbers as JSON, what was said of each example as Parquet.

`evaluation/test.json` is the one to read first; `evaluation/test.parquet` holds a row for each
example, and opens in any table program.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from luthier.checkpoint.document import sealed, unsealed
from luthier.checkpoint.files import DISK, Files, make_folders, write_file
from luthier.errors import InputError, RunError
from luthier.evaluation.evaluate import Evaluation
from luthier.metrics.interval import Metric
from luthier.tasks.task import Columns


def write_evaluation(evaluation: Evaluation, folder: Path, split: str, files: Files = DISK) -> None:
    """Write `folder/SPLIT.json` and `folder/SPLIT.parquet`.

    Args:
        evaluation: What to keep.
        folder: Where; made if need be. Files of the same split are replaced.
        split: train, validation or test.
        files: The disk.

    Raises:
        StorageError: The disk refused.
    """
    if not folder.exists():
        make_folders(folder, files)
    table = _to_parquet(evaluation.columns)
    document = {
        "headline": evaluation.headline,
        "metrics": {name: metric.to_json() for name, metric in evaluation.metrics.items()},
        "loss": evaluation.loss.to_json(),
        "seconds": evaluation.seconds,
        "parquet_sha256": hashlib.sha256(table).hexdigest(),
        "details": evaluation.details,
        "samples": dict(evaluation.samples),
        "notes": list(evaluation.notes),
    }
    write_file(folder / f"{split}.parquet", table, files)
    # Keys in their order: the headline is the first metric.
    write_file(folder / f"{split}.json", sealed(document), files)


def read_evaluation(folder: Path, split: str) -> Evaluation:
    """The evaluation that `write_evaluation` wrote.

    Raises:
        InputError: If there is none.
        RunError: If its files are not what was written.
    """
    numbers, table = folder / f"{split}.json", folder / f"{split}.parquet"
    for file in (numbers, table):
        if not file.is_file():
            raise InputError(
                f"{file} is not there: the run was not evaluated on its {split} split; "
                f"do it now: {_command(folder, split)}"
            )
    again = f"is damaged; measure again: {_command(folder, split)}"
    try:
        document = unsealed(numbers.read_bytes())
    except ValueError as error:
        raise RunError(f"{numbers} {again} ({error})") from None
    content = table.read_bytes()
    if document.get("parquet_sha256") != hashlib.sha256(content).hexdigest():
        raise RunError(f"{table} does not belong to {numbers.name} or {again}")
    return Evaluation(
        headline=document["headline"],
        metrics={name: Metric(**found) for name, found in document["metrics"].items()},
        loss=Metric(**document["loss"]),
        details=document["details"],
        columns=_from_parquet(content),
        seconds=document["seconds"],
        samples=document["samples"],
        notes=tuple(document.get("notes", ())),  # none of runs before there were any
    )


def _command(folder: Path, split: str) -> str:
    return f"luthier evaluate {folder.parent} --split {split}"


def _to_parquet(columns: Columns) -> bytes:
    table = pa.table({name: _to_arrow(values) for name, values in columns.items()})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def _to_arrow(values: np.ndarray) -> Any:
    if values.ndim == 1:
        return pa.array(values.tolist() if values.dtype.kind == "U" else values)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _from_parquet(content: bytes) -> Mapping[str, np.ndarray]:
    table = pq.read_table(pa.BufferReader(content))
    return {name: _to_numpy(table.column(name).combine_chunks()) for name in table.column_names}


def _to_numpy(column: Any) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat).reshape(len(column), column.type.list_size)
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=np.str_)
    return np.asarray(column.to_numpy(zero_copy_only=False))
