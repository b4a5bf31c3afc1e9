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
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= start_step]
        write_file(path, "".join(line + "\n" for line in kept).encode())
    with told("write", path):
        file = path.open("a", encoding="utf-8")

    def write(event: Event) -> None:
        if not isinstance(event, Ticked):
            line = json.dumps(as_row(event), allow_nan=False, ensure_ascii=False)
            with told("write", path):
                file.write(line + "\n")
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


def _lines(path: Path) -> Iterator[str]:
    """The whole lines of the file: the last one is torn if the run was killed while it wrote."""
    with told("read", path):
        text = path.read_text(encoding="utf-8", errors="replace")
    yield from text.splitlines()[: text.count("\n")]
