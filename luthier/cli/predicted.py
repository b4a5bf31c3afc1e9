"""What a network says of inputs, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.cli import terminal

WIDEST = 60
"""Characters of an input that are shown; a text is not longer than what is said of it."""

WORST_SHOWN = 5
"""Texts with errors that are shown word by word."""

Said = Mapping[str, Any]


def print_predictions(found: Sequence[Said], noun: str) -> None:
    """A row for each input; for each mask of it, where it has some.

    Args:
        found: What `Run.predict` gave.
        noun: What an input is called.
    """
    if found and "output" in found[0]:
        for one in found:  # one a line, so that line n belongs to line n of a file
            terminal.say(" ".join(one["output"].split()))
        return
    asked = [(one["input"], part) for one in found for part in one.get("masks", [one])]
    heads, rows, right = [noun], [[_short(text)] for text, _ in asked], []
    parts = [part for _, part in asked]
    for name in ("label", "token"):
        if name in parts[0]:
            right.append(len(heads) + 1)
            heads += [name, "probability", "else"]
            for row, part in zip(rows, parts, strict=True):
                row += [part[name], f"{part['probability']:.1%}", _others(part, name)]
    if "text" in parts[0] and "start" not in parts[0]:
        heads.append("what is said")
        for row, part in zip(rows, parts, strict=True):
            row.append(part["text"])
    if "tags" in parts[0]:
        marked = "entities" in parts[0]
        heads.append("entities" if marked else "tags")
        for row, part in zip(rows, parts, strict=True):
            row.append(_entities(part) if marked else " ".join(map(_tag, part["tags"])))
    if "text" in parts[0] and "start" in parts[0]:
        heads += ["answer", "characters", "probability"]
        right += [len(heads) - 2, len(heads) - 1]
        for row, part in zip(rows, parts, strict=True):
            row += _answer(part)
    terminal.print_table("", heads, rows, right=right)


def print_errors(details: Said) -> None:
    """Of a network that writes what is said: its errors by kind, and its worst texts, word by
    word. Nothing of others."""
    from luthier.metrics.edits import side_by_side

    if "errors" not in details:
        return
    kinds = ("substitutions", "deletions", "insertions")
    rows = [
        [units, f"{found[units]:,}", *(f"{found[kind]:,}" for kind in kinds)]
        for units, found in ((f"{unit}s", counts) for unit, counts in details["errors"].items())
    ]
    terminal.print_table("", ["of", "there are", *kinds], rows, right=(1, 2, 3, 4))
    for one in details["worst"][:WORST_SHOWN]:
        terminal.say("")
        for name, line in zip(("right", "said", ""), side_by_side(one["edits"]), strict=True):
            terminal.say(f"{name:>5}  {line}")


def _others(part: Said, name: str) -> str:
    return ", ".join(f"{other[name]} {other['probability']:.1%}" for other in part["top"][1:])


def _answer(part: Said) -> list[str]:
    """The answer, where it stands, and how sure it is."""
    if part["start"] is None:
        return ["(no answer)", "", f"{part['score']:.1%}"]
    return [part["text"], f"{part['start']} to {part['end']}", f"{part['score']:.1%}"]


def _entities(part: Said) -> str:
    """`Miles Davis (artist), jazz (genre)`; the numbers of the words where these are not known."""
    told = []
    for entity in part["entities"]:
        place = f"words {entity['start'] + 1} to {entity['stop']}"
        told.append(f"{entity.get('text', place)} ({entity['type']})")
    return ", ".join(told)


def _tag(name: str | None) -> str:
    """A word that is cut off with the end of its text has no tag."""
    return name or "-"


def _short(text: str) -> str:
    shown = " ".join(text.split()) if "\n" in text or "\t" in text else text
    return shown if len(shown) <= WIDEST else shown[: WIDEST - 2] + " …"
