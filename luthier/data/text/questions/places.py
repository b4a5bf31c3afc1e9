"""Where the tokens of a text stand in it, by its characters.

Dimension key, for the whole file:
    T  tokens      C  characters
"""

from __future__ import annotations

import numpy as np

from luthier.data.text.tokens.pieces import Pieces, Spelled, byte_positions


def spelled(pieces: Pieces, text: str) -> Spelled:
    """The tokens of a text, and the characters of each.

    White space around a token is no part of it, unless the token is nothing else. Of a character
    that is several tokens, each of them has all of it.

    Args:
        pieces: The tokens of the text.
        text: What they were made of, with no stretch of 65,536 bytes for one token.

    Example:
        >>> pieces = Pieces(
        ...     tokens=np.array([7, 8], dtype=np.int32),
        ...     bytes=np.array([1, 3], dtype=np.uint16),
        ...     words=np.array([-1, -1], dtype=np.int32),
        ... )
        >>> found = spelled(pieces, "a  b")
        >>> found.starts.tolist(), found.ends.tolist()
        ([0, 3], [1, 4])
    """
    sizes = pieces.bytes.astype(np.int64)
    edges_T = np.cumsum(sizes)
    at_C = byte_positions(text)
    starts_T = np.searchsorted(at_C, edges_T - sizes, side="right") - 1
    ends_T = np.searchsorted(at_C, edges_T, side="left")
    # One without bytes shares the character of the token before it.
    starts_T = np.maximum.accumulate(np.where(sizes == 0, 0, starts_T))
    filled = np.flatnonzero([not character.isspace() for character in text])
    first_T = np.searchsorted(filled, starts_T)
    behind_T = np.searchsorted(filled, ends_T)
    has = behind_T > first_T
    if has.any():
        starts_T = np.where(has, filled[np.minimum(first_T, len(filled) - 1)], starts_T)
        ends_T = np.where(has, filled[behind_T - 1] + 1, ends_T)
    return Spelled(pieces.tokens, starts_T.astype(np.int64), ends_T.astype(np.int64))


def tokens_at(tokens: Spelled, start: int, stop: int) -> tuple[int, int] | None:
    """The first and the last token that have some of the characters from `start` to `stop`.

    None where no token stands for any of them.
    """
    first = int(np.searchsorted(tokens.ends, start, side="right"))
    last = int(np.searchsorted(tokens.starts, stop, side="left")) - 1
    return (first, last) if first <= last else None


def characters_of(tokens: Spelled, first: int, last: int) -> tuple[int, int]:
    """Where the text of some tokens begins, and behind its end."""
    return int(tokens.starts[first]), int(tokens.ends[last])
