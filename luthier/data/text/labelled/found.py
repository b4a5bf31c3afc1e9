"""What a reader of texts found: rows of texts with a label, with tags or with both, by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from luthier.data.collection import Split
from luthier.data.finding import Finding
from luthier.data.text.labelled.tagging import Scheme
from luthier.data.text.labelled.words import Division
from luthier.spec import Decision

CutOff = Literal["end", "start"]
"""Which end of a text that is too long is cut off."""


class TextRow(NamedTuple):
    """One text, or a pair of them."""

    name: str
    """Where it stands: `dev.tsv line 3`."""
    text: str
    second: str | None = None
    """The other text of a pair."""
    label: str | None = None
    words: Sequence[str] | None = None
    """Where words have tags."""
    tags: Sequence[str] | None = None
    """One for each word."""


@dataclass(frozen=True, kw_only=True)
class Tagging:
    """What is known of all tags."""

    scheme: Scheme
    division: Division
    """What divides new texts as these were."""
    names: tuple[str, ...] | None = None
    """Of the tags in the order of their numbers; none leaves the order to luthier."""


@dataclass(frozen=True, kw_only=True)
class FoundTexts:
    """What a reader found at a place."""

    recognised: str
    """What it is: `table /data/reviews.tsv`."""
    parts: Mapping[Split, Sequence[TextRow]]
    """The splits that are given. Where there is only one, it is called train."""
    tagging: Tagging | None = None
    """None where words have no tags."""
    decisions: tuple[Decision, ...] = ()
    """What was left to the reader."""
    findings: tuple[Finding, ...] = ()
    """What a person should know of the files."""


def sole_part(parts: Mapping[Split, Sequence[TextRow]]) -> Mapping[Split, Sequence[TextRow]]:
    """The splits; where there is only one, it is called train."""
    return {"train": next(iter(parts.values()))} if len(parts) == 1 else parts


def problem_with(text: object) -> str | None:
    """Why something cannot be used as a text; none if it can."""
    if text is None or text == "":
        return "is empty"
    if not isinstance(text, str):
        return f"is {text!r:.40}; wanted a text"
    if not text.strip():
        return "is empty"
    if "\0" in text:
        return "holds a NUL character"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "holds half of a surrogate pair, which is no character"
    return None


def label_in(value: object) -> tuple[str, str | None]:
    """A value of a table as a label, and why it is none."""
    if isinstance(value, bool):
        return str(value).lower(), None
    if isinstance(value, int):
        return str(value), None
    if isinstance(value, str) and value.strip():
        return value.strip(), None
    got = "nothing" if value is None or isinstance(value, str) else f"{value!r:.40}"
    return "", f"has {got} as its label; wanted a name or a whole number"
