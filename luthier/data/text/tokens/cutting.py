"""Long texts in pieces: so that memory stays bounded, and all cores have work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

USUAL = 2**14
"""Characters of a piece, where the text has a good place to cut it."""
MOST = 2**20
"""Characters after which a text is cut anywhere."""

Break = re.Pattern[str]

SPACE: Break = re.compile(r"(?<=[^\W_])(?= [^\W_])")
"""Between a word and the space before the next: no tokenizer's usual token reaches across."""
LINE: Break = re.compile(r"(?<=\n)(?=[^\W_])")
MARK: Break = re.compile(r"(?<=[^\W\d_])(?=[.!?;,。！？；，、…।؟][^\W\d_])")
"""For scripts without spaces: before a mark between two letters."""
BREAKS = (SPACE, LINE, MARK)
"""Places to cut at, the best first."""
PROBES = ((SPACE, "text", " text"), (LINE, "text\n", "text"), (MARK, "text", ".text"))
"""For each break, a text that is cut there: is it encoded as its two parts are?"""

_SURROGATE = re.compile("[\ud800-\udfff]")


def valid(text: str) -> str:
    """`text` with U+FFFD for each lone surrogate, which no encoding can write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def cut(
    text: str, breaks: Sequence[Break] = BREAKS, *, usual: int = USUAL, most: int = MOST
) -> Iterator[str]:
    """`text` in pieces, one after the other; without a good place to cut, in longer ones.

    Args:
        text: Of any length.
        breaks: Where it may be cut, the best first.
        usual: Characters of a piece.
        most: Characters after which it is cut anywhere.

    Example:
        >>> list(cut("one two three", usual=8, most=16))
        ['one two', ' three']
    """
    start = 0
    while len(text) - start > usual:
        end = _end(text, start, breaks, usual, most)
        yield valid(text[start:end])
        start = end
    if start < len(text) or not text:
        yield valid(text[start:])


def _end(text: str, start: int, breaks: Sequence[Break], usual: int, most: int) -> int:
    length = usual
    while length < most and start + length < len(text):
        low, high = start + length // 2, start + length
        for place in breaks:
            found = [match.start() for match in place.finditer(text, low, high + 2)]
            inside = [end for end in found if low < end <= high]
            if inside:
                return inside[-1]
        length *= 2
    return min(start + most, len(text))


def batches(
    texts: Iterable[str], breaks: Sequence[Break] = BREAKS, characters: int = MOST
) -> Iterator[tuple[list[int], list[str]]]:
    """Pieces of all texts, so many characters at a time: the number of each one's text, and it."""
    owners: list[int] = []
    pieces: list[str] = []
    size = 0
    for number, text in enumerate(texts):
        for piece in cut(text, breaks):
            owners.append(number)
            pieces.append(piece)
            size += len(piece)
            if size >= characters:
                yield owners, pieces
                owners, pieces, size = [], [], 0
    if pieces:
        yield owners, pieces
