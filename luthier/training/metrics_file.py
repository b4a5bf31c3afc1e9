"""metrics.jsonl: what training told, a JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from luthier.checkpoint.files import told, write_file
from luthier.metrics.interval import Metric
from luthier.training.events import Event, Hook, Ticked


@contextmanager
def metrics_file(path: Path, start_step: int) -> Iterator[Hook]:
    """A hook that writes each event to `path`, but for the ticks.

    A run that goes on from `start_step` appends. Rows of later steps, which a run that was killed
    had written after its last checkpoint, are taken away first: those steps come again.

    Raises:
        StorageError: If the disk refuses.
    """
    if path.exists():
        kept = [row for row in read_rows(path) if row["step"] <= start_step]
        write_file(path, "".join(_line(row) for row in kept).encode())
    with told("write", path):
        file = path.open("a", encoding="utf-8")

    def write(event: Event) -> None:
        if not isinstance(event, Ticked):
            line = _line(as_row(event))
            with told("write", path):
                file.write(line)
                file.flush()

    try:
        yield write
    finally:
        with told("write", path):
            file.close()


def as_row(event: Event) -> dict[str, Any]:
    """An event as plain data: `event`, its name in lower case, and all that it holds.

    Example:
        >>> from luthier.training.events import Saved
        >>> as_row(Saved(step=100, best=False))
        {'event': 'saved', 'step': 100, 'best': False}
    """
    values = {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    return {"event": type(event).__name__.lower(), **values}


def _plain(value: Any) -> Any:
    if isinstance(value, Metric):
        return _plain(value.to_json())
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no such number
    return value


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the file; none where there is no file.

    The last line is torn if the run was killed while it wrote, and a loss of power can leave
    lines of zeros: what is no row is left out.
    """
    if not path.exists():
        return []
    with told("read", path):
        text = path.read_text(encoding="utf-8", errors="replace")
    rows = []
    for line in text.splitlines()[: text.count("\n")]:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and "event" in row and "step" in row:
            rows.append(row)
    return rows


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n"
