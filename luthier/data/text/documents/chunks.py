"""Long texts in parts that are tokenized one by one, cut where the tokenizer parts words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from luthier.data.text.tokens.cutting import BREAKS, Break

CHUNK_BYTES = 2**15
"""Of a part, at most. Below 2^16: so no token stands for more bytes than 16 bits can tell."""
WINDOWS = (2**8, 2**12, CHUNK_BYTES)
"""Characters at the end of a part in which a place to cut is looked for."""


class Chunk(NamedTuple):
    """A part of a text."""

    text: str
    size: int
    """UTF-8 bytes."""
    ends: bool
    """Whether the text ends with it."""


def text_chunks(
    read: Callable[[int, int], bytes],
    start: int,
    stop: int,
    breaks: Sequence[Break] = BREAKS,
    most: int = CHUNK_BYTES,
) -> Iterator[Chunk]:
    """The text from byte `start` to `stop`, in parts of at most `most` bytes.

    Args:
        read: Gives the bytes from one place to before another.
        start: Of the text.
        stop: Behind its last byte.
        breaks: Where it may be cut so that the parts give the tokens of the whole, the best
            first; where there is no such place, it is cut anywhere.
        most: At least 4, so that each character fits.

    Example:
        >>> data = b"a rose is a rose"
        >>> [part.text for part in text_chunks(lambda a, b: data[a:b], 0, len(data), most=8)]
        ['a rose', ' is a', ' rose']
    """
    while stop - start > most:
        data = read(start, start + most)
        data = data[: _characters(data)]
        text = data.decode()
        cut = _last_break(text, breaks)
        if cut < len(text):
            text = text[:cut]
            data = text.encode()
        yield Chunk(text, len(data), False)
        start += len(data)
    yield Chunk(read(start, stop).decode(), stop - start, True)


def _last_break(text: str, breaks: Sequence[Break]) -> int:
    for window in WINDOWS:
        begin = max(len(text) - window, 0)
        for place in breaks:
            found = [match.start() for match in place.finditer(text, begin) if match.start() > 0]
            if found:
                return found[-1]
    return len(text)


def _characters(data: bytes) -> int:
    """How many of the bytes are whole characters."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        return len(data) if needed <= back else len(data) - back
    return len(data)
