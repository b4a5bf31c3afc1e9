"""How a text is divided into the words that get tags.

spaces      what stands between white space
ends        the same, but signs at its ends are words of their own: `London.` is `London` and `.`
signs       runs without signs; each sign is a word of its own: `it's` is `it`, `'` and `s`
characters  each character, with the marks that combine with it
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

Division = Literal["spaces", "ends", "signs", "characters"]

_BETWEEN_SPACES = re.compile(r"\S+")
_JOINERS = {"\u200d", "\ufe0e", "\ufe0f"}  # of emoji that are made of several characters
_OPENING = {"Ps", "Pi"}
_CLOSING = {"Pe", "Pf"}
_AT_THE_END = set(".,;:!?…\"'") | set("。，、；：！？")
_AT_THE_START = set('"¿¡')
MOSTLY = 0.98


def words_in(text: str, division: Division) -> list[tuple[int, int]]:
    """Where each word of a text begins and ends.

    Example:
        >>> [ "Is it (5)?"[a:b] for a, b in words_in("Is it (5)?", "signs")]
        ['Is', 'it', '(', '5', ')', '?']
    """
    pieces = ((match.start(), match.end()) for match in _BETWEEN_SPACES.finditer(text))
    if division == "spaces":
        return list(pieces)
    inside = {"ends": _ends_apart, "signs": _signs_apart, "characters": _characters}[division]
    return [word for start, end in pieces for word in inside(text, start, end)]


def divided(text: str, division: Division) -> list[str]:
    """The words of a text.

    Example:
        >>> divided("I live in London.", "ends")
        ['I', 'live', 'in', 'London', '.']
    """
    return [text[start:end] for start, end in words_in(text, division)]


def division_of(words: Iterable[str]) -> tuple[Division, str]:
    """What divides new texts most as these words of training texts were, and why.

    Args:
        words: Of training texts, as somebody divided them.
    """
    total = single = whole_signs = whole_ends = 0
    for word in words:
        total += 1
        single += len(divided(word, "characters")) == 1
        whole_signs += len(divided(word, "signs")) == 1
        whole_ends += len(divided(word, "ends")) == 1
    assert total, "there are words"
    if single >= MOSTLY * total:
        return "characters", f"{single / total:.1%} of the words are single characters"
    if whole_signs >= MOSTLY * total:
        return "signs", f"signs are words of their own: in {whole_signs / total:.1%} of the words"
    if whole_ends >= MOSTLY * total:
        kept = f"{whole_ends / total:.1%}"
        return "ends", f"{kept} of the words have no sign at an end that could be a word"
    return "spaces", f"{1 - whole_ends / total:.1%} of the words keep the signs at their ends"


def _ends_apart(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    if all(map(_is_sign, text[start:end])):  # `...` and `:)` are whole
        yield start, end
        return
    first, last = start, end
    while _opens(text[first]):
        first += 1
    while _closes(text[last - 1]):
        last -= 1
    yield from ((at, at + 1) for at in range(start, first))
    yield first, last
    yield from ((at, at + 1) for at in range(last, end))


def _signs_apart(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begun = start
    for at in range(start, end):
        if _is_sign(text[at]):
            if begun < at:
                yield begun, at
            yield at, at + 1
            begun = at + 1
    if begun < end:
        yield begun, end


def _characters(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begun = start
    for at in range(start + 1, end + 1):
        if at == end or not (_joins(text[at]) or text[at - 1] == "\u200d"):
            yield begun, at
            begun = at


def _joins(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character)[0] == "M"


def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _opens(sign: str) -> bool:
    return sign in _AT_THE_START or unicodedata.category(sign) in _OPENING


def _closes(sign: str) -> bool:
    return sign in _AT_THE_END or unicodedata.category(sign) in _CLOSING
