"""A text as tokens, and how many bytes of it each of them stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_WORD = -1
LARGEST = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The tokens of one text.

    Shape:
        All `(T,)`, T the number of tokens.
    """

    tokens: NDArray[np.int32]
    """Their numbers."""
    bytes: NDArray[np.uint16]
    """UTF-8 bytes of the text that each stands for. They sum to the bytes of the text, if it has
    a token at all and no stretch of more than 65,535 bytes for each token."""
    words: NDArray[np.int32]
    """The number of each one's word, where words were given; else -1."""

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Spelled:
    """The tokens of a text, and where each stands in it.

    Args:
        tokens: `(T,)`.
        starts: `(T,)`, the first character that each stands for, rising.
        ends: `(T,)`, behind the last one.
    """

    tokens: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, tokens: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Spelled:
        """What the tokenizers library gives."""
        places = np.array(offsets, dtype=np.int64).reshape(-1, 2)
        starts, ends = np.maximum.accumulate(places, axis=0).T if len(places) else places.T
        return cls(np.array(tokens, dtype=np.int32), starts, ends)


@dataclass(frozen=True)
class Part:
    """The tokens of a part of a text.

    Args:
        tokens: `(T,)`.
        sizes: `(T,)` bytes that each stands for; they sum to `size` if there are tokens.
        size: UTF-8 bytes of the part.
    """

    tokens: NDArray[np.int32]
    sizes: NDArray[np.int64]
    size: int


def no_words(count: int) -> NDArray[np.int32]:
    """-1 for each token, without memory for each."""
    return np.broadcast_to(np.int32(NO_WORD), count)


def joined(parts: Sequence[Part]) -> Pieces:
    """The whole text. Bytes of a part without tokens go to the next token, else the last one."""
    if len(parts) == 1 and len(parts[0].tokens):
        tokens, sizes = parts[0].tokens, parts[0].sizes
    else:
        none = (np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64))
        tokens = np.concatenate([none[0], *(part.tokens for part in parts)])
        sizes = np.concatenate([none[1], *(part.sizes for part in parts)])
        place = 0
        for part in parts:
            if not len(part.tokens) and len(tokens):
                sizes[min(place, len(tokens) - 1)] += part.size
            place += len(part.tokens)
    return Pieces(tokens=tokens, bytes=narrow(sizes), words=no_words(len(tokens)))


def sizes_from_ends(ends: NDArray[np.int64], text: str) -> NDArray[np.int64]:
    """The bytes that each token stands for, from where it ends.

    What lies between two tokens goes to the second, what lies behind the last one to it. Tokens
    that end at the same character share its bytes.

    Args:
        ends: `(T,)` for each token the character of `text` behind its last one.
        text: What the tokens were made of.

    Example:
        >>> sizes_from_ends(np.array([3, 5, 5, 5, 9]), "the 中 cat.").tolist()
        [3, 2, 1, 1, 5]
    """
    count = len(ends)
    if not count:
        return np.zeros(0, dtype=np.int64)
    edges = np.minimum(np.maximum.accumulate(ends), len(text))
    edges[edges == edges[-1]] = len(text)
    is_first = np.ones(count, dtype=bool)
    np.not_equal(edges[1:], edges[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    total = byte_positions(text)[edges[first]]
    total[1:] -= total[:-1].copy()
    if len(first) == count:
        return total
    runs = np.diff(first, append=count)
    rank = np.arange(count) - np.repeat(first, runs)
    share, extra = np.divmod(total, runs)
    return np.asarray(np.repeat(share, runs) + (rank < np.repeat(extra, runs)), dtype=np.int64)


def byte_positions(text: str) -> NDArray[np.int64]:
    """`(len(text) + 1,)`: the UTF-8 byte at which each character begins, and the end."""
    if text.isascii():
        return np.arange(len(text) + 1)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    sizes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])


def narrow(sizes: NDArray[np.int64]) -> NDArray[np.uint16]:
    """The same sum in 16 bits: what is too much for one token is given to those around it.

    Example:
        >>> narrow(np.array([1, 70_000, 2])).tolist()
        [1, 65535, 4467]
    """
    if len(sizes) and sizes.max() > LARGEST:
        sizes = np.minimum(_passed_on(_passed_on(sizes)[::-1])[::-1], LARGEST)
    return sizes.astype(np.uint16)


def _passed_on(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """What a token cannot take goes to the next; what the last one cannot take stays with it."""
    passed = sizes.copy()
    carried = 0
    for index, size in enumerate(sizes.tolist()):
        passed[index] = min(size + carried, LARGEST)
        carried += size - int(passed[index])
    passed[-1] += carried
    return passed
