"""Tags of words that mark entities: the ways in which they are written, and one way for all.

BIO    B begins an entity, I goes on with it, O is none
IOB1   the same, but I begins an entity too, unless the word before belongs to one of its type
BIOES  B, I, then E for the last word; S for an entity of a single word
BILOU  BIOES with L for E and U for S;   BMES   BIOES with M for I, and perhaps W for S
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

Scheme = Literal["BIO", "BIOES", "plain"]
"""What tags are brought to."""
Written = Literal["BIO", "IOB1", "BIOES", "BILOU", "BMES", "plain"]
"""How they are written in the data."""

OUTSIDE = "O"
_TAG = re.compile(r"([BIESLUMW])-(.+)")
_ORDER = "BIES"
_TO_BIOES = {
    "BILOU": {"L": "E", "U": "S"},
    "BMES": {"M": "I", "W": "S"},
}


@dataclass(frozen=True)
class _Seen:
    """What is in the tags of all texts."""

    letters: frozenset[str]
    plain: bool
    """Some tag is neither `O` nor a letter with a type."""
    inside_begins: bool
    """Some I stands where no entity of its type goes on."""
    begin_is_needed: bool
    """Every B stands right after an entity of its type."""


def written_in(texts: Iterable[Sequence[str]]) -> Written:
    """How the tags of all texts are written.

    Example:
        >>> written_in([["B-place", "I-place", "O"]]), written_in([["I-place", "O", "I-name"]])
        ('BIO', 'IOB1')
        >>> written_in([["NOUN", "VERB"]])
        'plain'
    """
    seen = _look(texts)
    if seen.plain:
        return "plain"
    if seen.letters <= set("BI"):
        iob1 = seen.inside_begins and seen.begin_is_needed
        return "IOB1" if iob1 else "BIO"
    for written, letters in (("BIOES", "BIES"), ("BILOU", "BILU"), ("BMES", "BMESW")):
        if seen.letters <= set(letters):
            return cast(Written, written)
    return "plain"


def scheme_of(written: Written) -> Scheme:
    """What tags that are written so are brought to."""
    if written == "plain":
        return "plain"
    return "BIO" if written in ("BIO", "IOB1") else "BIOES"


def brought(tags: Sequence[str], written: Written) -> list[str]:
    """The tags of a text in the scheme that theirs is brought to.

    Example:
        >>> brought(["I-place", "I-place", "B-place", "O"], "IOB1")
        ['B-place', 'I-place', 'B-place', 'O']
        >>> brought(["B-place", "L-place", "U-name"], "BILOU")
        ['B-place', 'E-place', 'S-name']
    """
    if written == "IOB1":
        before = [OUTSIDE, *tags]
        return [
            f"B-{tag[2:]}" if tag[:1] == "I" and not _goes_on(previous, tag) else tag
            for previous, tag in zip(before, tags, strict=False)
        ]
    letters = _TO_BIOES.get(written)
    if letters is None:
        return list(tags)
    return [letters.get(tag[0], tag[0]) + tag[1:] if tag != OUTSIDE else tag for tag in tags]


def entities_in(tags: Sequence[str], scheme: Scheme) -> list[tuple[str, int, int]]:
    """Each entity: its type, its first word, and the word after its last.

    A continuation that continues nothing begins one, as the usual scorer has it.

    Source:
        Tjong Kim Sang and Buchholz 2000, the rules of `conlleval`.

    Example:
        >>> entities_in(["B-place", "I-place", "O", "I-name"], "BIO")
        [('place', 0, 2), ('name', 3, 4)]
    """
    if scheme == "plain":
        return []
    found: list[tuple[str, int, int]] = []
    start, previous = 0, OUTSIDE
    for at, tag in enumerate([*tags, OUTSIDE]):
        if previous != OUTSIDE and not (tag[:1] in ("I", "E") and _goes_on(previous, tag)):
            found.append((previous[2:], start, at))
        if tag != OUTSIDE and not (tag[:1] in ("I", "E") and _goes_on(previous, tag)):
            start = at
        previous = tag
    return found


def broken(tags: Sequence[str], scheme: Scheme) -> int:
    """Places where a tag cannot follow the one before it: I after O, another type, no end.

    Example:
        >>> broken(["I-place", "O", "B-name", "I-place"], "BIO")
        2
    """
    if scheme == "plain":
        return 0
    count = 0
    for previous, tag in zip([OUTSIDE, *tags], [*tags, OUTSIDE], strict=True):
        if tag[:1] in ("I", "E"):
            count += not _goes_on(previous, tag)
        elif scheme == "BIOES":
            count += previous[:1] in ("B", "I")
    return count


def in_order(names: Iterable[str], scheme: Scheme) -> tuple[str, ...]:
    """Different tags in the order of their numbers: `O`, then type by type.

    Example:
        >>> in_order({"I-b", "B-b", "B-a", "O"}, "BIO")
        ('O', 'B-a', 'B-b', 'I-b')
    """
    if scheme == "plain":
        return tuple(sorted(set(names)))
    inside = sorted(set(names) - {OUTSIDE}, key=lambda name: (name[2:], _ORDER.index(name[0])))
    return (OUTSIDE, *inside)


def _look(texts: Iterable[Sequence[str]]) -> _Seen:
    letters: set[str] = set()
    plain = inside_begins = False
    begin_is_needed = True
    for tags in texts:
        previous = OUTSIDE
        for tag in tags:
            match = None if tag == OUTSIDE else _TAG.fullmatch(tag)
            if match:
                letters.add(match[1])
                goes_on = _goes_on(previous, tag)
                inside_begins |= match[1] == "I" and not goes_on
                begin_is_needed &= match[1] != "B" or goes_on
            elif tag != OUTSIDE:
                plain = True
            previous = tag
    return _Seen(frozenset(letters), plain, inside_begins, begin_is_needed)


def _goes_on(previous: str, tag: str) -> bool:
    """Whether the word before belongs to an entity of the same type that is not at its end."""
    return previous[:1] in ("B", "I", "M") and previous[2:] == tag[2:]
