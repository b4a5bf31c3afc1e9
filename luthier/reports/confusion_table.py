"""The confusion matrix as a table of counts, the mistakes coloured."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from luthier.reports.amounts import count, cut
from luthier.reports.markup import Markup, tag

MOST_CLASSES = 20
"""Of more classes, those with the most mistakes are shown."""
MOST_PAIRS = 8
MOST_LETTERS = 16
"""Of a name beside the matrix; each cell says it whole."""
HOT = 0.78
"""The heat from which a cell's count is written in the light colour."""


def confusion_table(confusion: np.ndarray, classes: Sequence[str]) -> Markup:
    """A table: rows are what the examples are, columns what they were said to be.

    Mistakes are coloured by the square root of their count, so that the rare ones show too; the
    diagonal, in grey, by its share of its row.

    Args:
        confusion: `(K, K)` counts.
        classes: K names.
    """
    shown = shown_classes(confusion)
    mistakes = confusion - np.diag(np.diag(confusion))
    most = max(int(mistakes[np.ix_(shown, shown)].max()), 1)
    flat = max(len(classes[label]) for label in shown) <= 3
    names = {label: cut(classes[label], MOST_LETTERS) for label in shown}
    heads = [tag("th" if flat else "th.steep", tag("span", name)) for name in names.values()]
    rows = []
    for label in shown:
        cells = [_cell(confusion, label, said, most, classes) for said in shown]
        rows.append(tag("tr", tag("th", names[label]), *cells))
    corner = tag("th.corner", "is ↓ said →")
    return tag(
        "div.scroll",
        tag(
            "table.confusion",
            tag("thead", tag("tr", corner, *heads)),
            tag("tbody", *rows),
        ),
    )


def shown_classes(confusion: np.ndarray) -> list[int]:
    """The classes of the table, in their order: all, or those with the most mistakes."""
    mistakes = confusion.sum(0) + confusion.sum(1) - 2 * np.diag(confusion)
    worst = np.argsort(-mistakes, kind="stable")[:MOST_CLASSES]
    return sorted(int(label) for label in worst)


def frequent_confusions(confusion: np.ndarray) -> list[tuple[int, int, int]]:
    """The most frequent mistakes: (what it is, what was said, how often), at most `MOST_PAIRS`."""
    mistakes = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:MOST_PAIRS]
    pairs = [divmod(int(cell), len(confusion)) for cell in order]
    return [
        (label, said, int(mistakes[label, said])) for label, said in pairs if mistakes[label, said]
    ]


def _cell(
    confusion: np.ndarray, label: int, said: int, most: int, classes: Sequence[str]
) -> Markup:
    number = int(confusion[label, said])
    if not number:
        return tag("td.none", "·")
    if label == said:
        heat, kind = number / confusion[label].sum(), "td.right"
    else:
        heat = 0.08 + 0.92 * math.sqrt(number / most)
        kind = "td.wrong.hot" if heat > HOT else "td.wrong"
    says = f"{count(number)} of {classes[label]}, said to be {classes[said]}"
    return tag(kind, count(number), at={"style": f"--heat:{heat:.2f}", "title": says})
