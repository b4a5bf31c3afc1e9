"""Texts that a network wrote, beside their sources and what is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from luthier.metrics.written import EACH
from luthier.reports.amounts import count
from luthier.reports.markup import Child, join, table, tag
from luthier.reports.mistakes import shortened
from luthier.reports.page import Section, section
from luthier.tasks.task import Columns

MOST = 12
"""Texts of each kind that are shown."""


def written_sections(columns: Columns, details: Mapping[str, Any]) -> list[Section]:
    """Some of the texts, and the worst ones; nothing where none were written.

    Args:
        columns: Of the evaluation.
        details: How it was measured.
    """
    if "output" not in columns:
        return []
    name = next(name for name in EACH if name in columns)
    scores, total = columns[name], len(columns["output"])
    some = np.unique(np.linspace(0, total - 1, min(MOST, total)).astype(np.int64))
    worst = np.argsort(scores, kind="stable")[:MOST]
    told = EACH[name]
    beams = details.get("beams", 1)
    searched = f"searched with {beams} beams" if beams > 1 else "the likeliest token each time"
    how = [tag("p.note", f"{key}: {value}") for key, value in details["signatures"].items()]
    return [
        section(
            "Texts",
            "What it writes",
            f"{count(len(some))} of the {count(total)} texts, evenly from all; {searched}. The "
            f"number is the {told} of the text alone, of 100.",
            _rows(columns, scores, some),
            join(how),
        ),
        section(
            "Worst texts",
            "The worst texts",
            f"Those with the lowest {told}. Some of them say the same in other words.",
            _rows(columns, scores, worst),
        ),
    ]


def _rows(columns: Columns, scores: np.ndarray, rows: np.ndarray) -> Child:
    shown: list[Sequence[Child]] = [
        (
            shortened(str(columns["source"][row])),
            shortened(str(columns["reference"][row])),
            tag("b", shortened(str(columns["output"][row]))),
            f"{scores[row]:.0f}",
        )
        for row in rows
    ]
    return table(("source", "right", "written", "score"), shown, words=3)
