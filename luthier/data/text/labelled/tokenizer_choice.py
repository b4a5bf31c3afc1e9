"""The tokenizer that suits texts with labels or tags, where a network starts from nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from luthier.data.text.labelled.found import TextRow
from luthier.data.text.labelled.words import Division
from luthier.data.text.tokens.symbols import CharactersSpec, WordsSpec

LOOKED_AT = 10_000
"""Texts that tell whether words stand between spaces."""
LONGEST_WORD = 12
"""Characters between two spaces, on average, up to which they can be words."""
MOST_ONCE = 0.8
"""The share of what stands between spaces that may stand there only once, if it is words."""


def suited_tokenizer(
    rows: Sequence[TextRow], division: Division | None
) -> tuple[WordsSpec | CharactersSpec, str]:
    """Words, where spaces divide them, else characters; and why.

    Written words come again and again. What stands between spaces in a script that writes none
    between words are whole sentences, which do not.

    Args:
        rows: Training texts.
        division: What divides them into the words that get tags; none where they get none.

    Example:
        >>> suited_tokenizer([TextRow("1", "the cat saw the dog")] * 9, None)[0].kind
        'words'
        >>> suited_tokenizer([TextRow("1", "床前明月光，疑是地上霜。")], None)[0].kind
        'characters'
    """
    if division == "characters":
        return CharactersSpec(), "the words that have tags are single characters"
    if division is not None:
        # Names are written in upper case; in requests, which have a label too, they seldom are.
        lowercase = rows[0].label is not None
        case = "are one, as in requests" if lowercase else "differ, since names show it"
        return WordsSpec(split="spaces", lowercase=lowercase), (
            f"each word has a tag; upper and lower case {case}"
        )
    pieces: Counter[str] = Counter()
    for row in rows[:LOOKED_AT]:
        pieces.update(row.text.lower().split())
        pieces.update((row.second or "").lower().split())
    total = sum(pieces.values())
    length = sum(len(piece) * count for piece, count in pieces.items()) / total
    once = sum(count == 1 for count in pieces.values()) / total
    told = f"{length:.1f} characters between two spaces, and {once:.0%} of it stands there once"
    if length > LONGEST_WORD or once > MOST_ONCE:
        return CharactersSpec(), f"spaces do not divide words: {told}"
    return WordsSpec(), f"spaces divide words: {told}"
