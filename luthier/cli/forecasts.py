"""Forecasts, printed as a table or as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from luthier.cli import terminal

MOST_ROWS = 24
"""Times of a series that people see; programs get all of them."""

Said = Mapping[str, Any]


def print_forecasts(found: Sequence[Said]) -> None:
    """A table for each series: a row a time, and a column a target.

    Args:
        found: What `Run.predict` gave.
    """
    for one in found:
        heads, rows = ["time", *one["forecast"]], list(_rows(one))
        told = [[time, *(f"{value:.6g}" for value in values)] for time, *values in rows]
        terminal.print_table(one["input"], heads, told[:MOST_ROWS], right=range(1, len(heads)))
        if len(rows) > MOST_ROWS:
            terminal.say(f"… and {len(rows) - MOST_ROWS} times more: --csv or --json")


def print_forecasts_as_csv(found: Sequence[Said]) -> None:
    """All of them in one table: a row for each time of each series.

    A quantile stands in a column of its own, `OT 0.9`.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    several = len(found) > 1
    for number, one in enumerate(found):
        quantiles = one.get("quantiles", {})
        named = [(name, level) for name, levels in quantiles.items() for level in levels]
        if not number:
            heads = ["input"] * several + ["time", *one["forecast"]]
            writer.writerow([*heads, *(f"{name} {level}" for name, level in named)])
        for row, (time, *values) in enumerate(_rows(one)):
            beside = [quantiles[name][level][row] for name, level in named]
            numbers = [f"{value:.7g}" for value in (*values, *beside)]
            writer.writerow([*[one["input"]] * several, time, *numbers])


def _rows(one: Said) -> Iterator[tuple[Any, ...]]:
    return zip(one["time"], *one["forecast"].values(), strict=True)
