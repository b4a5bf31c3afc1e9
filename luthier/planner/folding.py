"""Rows of equal copies as one: a network of eighty layers on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from luthier.planner.count import Row


def folded(rows: Sequence[Row]) -> list[Row]:
    """The rows, with runs of equal copies of a repeat as the first of them.

    Its place then names the whole run, `copies[1–11]`, and its figures are those of one copy. Equal
    are copies that give, hold and compute the same; memory that they share is the first one's.

    Args:
        rows: As `count` gives them, each before those inside of it.
    """
    kept: list[Row] = []
    index = 0
    while index < len(rows):
        row = rows[index]
        end = index + 1
        while end < len(rows) and rows[end].depth > row.depth:
            end += 1
        inside = rows[index + 1 : end]
        kept.append(row)
        kept += _copies(row.place, inside) if row.name == "repeat" else folded(inside)
        index = end
    return kept


def _copies(place: str, inside: Sequence[Row]) -> list[Row]:
    runs: list[tuple[int, int, list[Row]]] = []
    number, rest = 0, list(inside)
    while rest:
        prefix = f"{place}.copies[{number}]."
        copy = [row for row in rest if row.place.startswith(prefix)]
        rest = rest[len(copy) :]
        # Without the number, so that copies can be compared, and a run be named.
        copy = folded([replace(row, place=row.place.removeprefix(prefix)) for row in copy])
        if runs and _look(runs[-1][2]) == _look(copy):
            runs[-1] = (runs[-1][0], number, runs[-1][2])
        else:
            runs.append((number, number, copy))
        number += 1
    return [
        replace(row, place=f"{place}.copies[{_span(first, last)}].{row.place}")
        for first, last, copy in runs
        for row in copy
    ]


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


def _look(copy: Sequence[Row]) -> list[object]:
    return [
        (row.place, row.name, row.gives, row.parameters, row.trained, row.flops) for row in copy
    ]
