"""Small tables of series."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from luthier.data.purpose import Purpose
from luthier.data.series.prepare_series import PreparedSeries, prepare_series
from luthier.data.series.series import SeriesSpec
from luthier.spec import parse

BEGIN = datetime.datetime(2024, 1, 1)
Cell = Any


def hours(count: int, begin: datetime.datetime = BEGIN) -> list[str]:
    """Times, an hour apart."""
    return [str(begin + datetime.timedelta(hours=n)) for n in range(count)]


def waves(count: int, columns: int = 2) -> np.ndarray:
    """Values with a day of 24 steps, a trend and noise; each column elsewhere."""
    noise = np.random.default_rng(5).normal(size=(count, columns))
    steps = np.arange(count)[:, None]
    level = 10.0 * np.arange(1, columns + 1)
    return level + 3 * np.sin(2 * np.pi * steps / 24) + 0.01 * steps + 0.3 * noise


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Path:
    """A CSV file."""
    lines = [",".join(head), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def wide(
    folder: Path, count: int = 120, change: Callable[[list[list[Cell]]], None] | None = None
) -> Path:
    """`date,a,b`, a row an hour; changed row by row where `change` does it."""
    rows: list[list[Cell]] = [
        [time, *values] for time, values in zip(hours(count), waves(count).tolist(), strict=True)
    ]
    if change is not None:
        change(rows)
    return write(folder / "wide.csv", ("date", "a", "b"), rows)


def prepared(path: Path, horizon: int = 4, **settings: Any) -> PreparedSeries:
    """Read, divided and cut into windows."""
    data = {"kind": "series", "path": str(path), "lookback": 12, **settings}
    spec = parse(SeriesSpec, data)
    return prepare_series(spec, Purpose(learns="forecast", horizon=horizon))
