"""What was said against what is right, word by word or letter by letter.

All functions of columns read the same ones, one entry a text: `words`, and of them
`word_substitutions`, `word_deletions`, `word_insertions`; the same of `characters`.

Dimension key, for the whole file:
    N  texts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from luthier.metrics.interval import Metric, wilson
from luthier.metrics.ratio import ratio

Kind = Literal["right", "substitution", "deletion", "insertion"]
UNITS = ("word", "character")
KINDS: tuple[Kind, ...] = ("substitution", "deletion", "insertion")


class Edit(NamedTuple):
    """One step from what is right to what was said."""

    kind: Kind
    right: str
    """Empty of an insertion."""
    said: str
    """Empty of a deletion."""


@dataclass(frozen=True)
class Edits:
    """How often each kind of edit is there."""

    substitutions: int
    deletions: int
    insertions: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.substitutions + self.deletions + self.insertions


def edits(right: Sequence[str], said: Sequence[str]) -> Edits:
    """The fewest edits that turn one sequence into the other, counted by kind.

    Example:
        >>> edits("one two three".split(), "one too three four".split())
        Edits(substitutions=1, deletions=0, insertions=1)
    """
    kinds = [edit.kind for edit in aligned(right, said)]
    return Edits(*(kinds.count(kind) for kind in KINDS))


def aligned(right: Sequence[str], said: Sequence[str]) -> list[Edit]:
    """The two side by side, with the fewest edits; of several ways the one that keeps most in its
    place.

    Source:
        Levenshtein 1966; Wagner and Fischer 1974, "The string-to-string correction problem".

    Example:
        >>> [edit.kind for edit in aligned("abc", "bcd")]
        ['deletion', 'right', 'right', 'insertion']
    """
    rows = _costs(right, said)
    at, of = len(right), len(said)
    found: list[Edit] = []
    while at or of:
        here = rows[at][of]
        if at and of and right[at - 1] == said[of - 1] and here == rows[at - 1][of - 1]:
            at, of = at - 1, of - 1
            found.append(Edit("right", right[at], said[of]))
        elif at and of and here == rows[at - 1][of - 1] + 1:
            at, of = at - 1, of - 1
            found.append(Edit("substitution", right[at], said[of]))
        elif at and here == rows[at - 1][of] + 1:
            at -= 1
            found.append(Edit("deletion", right[at], ""))
        else:
            of -= 1
            found.append(Edit("insertion", "", said[of]))
    return found[::-1]


def counted_edits(right: Sequence[str], said: Sequence[str]) -> dict[str, np.ndarray]:
    """The columns of some texts.

    Args:
        right: What is right, one text each.
        said: What was said.
    """
    columns: dict[str, list[int]] = {}
    for want, got in zip(right, said, strict=True):
        for unit, of in (("word", (want.split(), got.split())), ("character", (want, got))):
            found = edits(*of)
            columns.setdefault(f"{unit}s", []).append(len(of[0]))
            for kind in KINDS:
                columns.setdefault(f"{unit}_{kind}s", []).append(getattr(found, f"{kind}s"))
    return {name: np.array(values, dtype=np.int64) for name, values in columns.items()}


def error_metrics(columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """`word_error` and `character_error`, edits over what there is, and `exact`, the share of
    texts without one.

    Example:
        >>> columns = counted_edits(["one two", "three"], ["one too", "three"])
        >>> {name: round(found.value, 2) for name, found in error_metrics(columns).items()}
        {'word_error': 0.33, 'character_error': 0.08, 'exact': 0.5}
    """
    errors = {unit: _errors(columns, unit) for unit in UNITS}
    found = {f"{unit}_error": _rate(errors[unit], columns[f"{unit}s"]) for unit in UNITS}
    right = int((errors["word"] == 0).sum())
    return {**found, "exact": wilson(right, len(errors["word"]))}


def error_counts(columns: Mapping[str, np.ndarray]) -> dict[str, dict[str, int]]:
    """Of words and of characters, how many there are and the edits by kind, JSON-ready."""
    return {
        unit: {
            f"{unit}s": int(columns[f"{unit}s"].sum()),
            **{f"{kind}s": int(columns[f"{unit}_{kind}s"].sum()) for kind in KINDS},
        }
        for unit in UNITS
    }


def worst_texts(
    columns: Mapping[str, np.ndarray], count: int, *, names: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The texts with the most wrong words, word by word, JSON-ready: `text`, its number among the
    columns, `name`, and `edits`, lists of kind, right word, said word.

    Args:
        columns: With `right` and `said`, the texts themselves.
        count: The most texts.
        names: What a person calls each, if that is known.
    """
    wrong = _errors(columns, "word")
    order = [row for row in np.argsort(-wrong, kind="stable") if wrong[row]][:count]
    found = []
    for row in order:
        steps = aligned(str(columns["right"][row]).split(), str(columns["said"][row]).split())
        entry: dict[str, Any] = {"id": int(columns["id"][row]), "edits": [list(e) for e in steps]}
        found.append(entry | ({"name": names[row]} if len(names) else {}))
    return found


def side_by_side(steps: Sequence[Sequence[str]]) -> tuple[str, str, str]:
    """Edits as three lines whose words stand below each other: what is right, what was said, and a
    letter below each edit.

    Example:
        >>> for line in side_by_side(aligned("a bee c".split(), "a be c d".split())): print(line)
        a bee c *
        a be  c d
          S     I
    """
    lines: tuple[list[str], list[str], list[str]] = ([], [], [])
    for kind, right, said in steps:
        right, said = right or "*" * len(said), said or "*" * len(right)
        width = max(len(right), len(said))
        mark = "" if kind == "right" else kind[0].upper()
        for line, word in zip(lines, (right, said, mark), strict=True):
            line.append(word.ljust(width))
    first, second, third = (" ".join(line).rstrip() for line in lines)
    return first, second, third


def _errors(columns: Mapping[str, np.ndarray], unit: str) -> np.ndarray:
    return np.asarray(sum(columns[f"{unit}_{kind}s"] for kind in KINDS))


def _rate(errors: np.ndarray, wholes: np.ndarray) -> Metric:
    """Errors over what there is; it may be above 1. Of no errors, the bound is that of texts."""
    found = ratio(errors, wholes, floor=0.0)
    if found.value or not wholes.sum():
        return found
    return Metric(value=0.0, low=0.0, high=wilson(0, len(wholes)).high, n=found.n)


def _costs(right: Sequence[str], said: Sequence[str]) -> list[list[int]]:
    """The fewest edits between each beginning of one and each beginning of the other."""
    rows = [list(range(len(said) + 1))]
    for number, want in enumerate(right, 1):
        above, left = rows[-1], number
        row = [number]
        for place, got in enumerate(said):
            diagonal = above[place] + (want != got)
            left = min(diagonal, above[place + 1] + 1, left + 1)
            row.append(left)
        rows.append(row)
    return rows
