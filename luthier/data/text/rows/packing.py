"""Documents cut to segments that fit a row, and segments put together into rows.

Dimension key, for the whole file:
    N  documents      P  segments      R  rows
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.data.text.rows.bin_packing import Numbers, row_of_each

BLOCK_SEGMENTS = 2**18
"""Segments that are packed together: packing takes memory for these only, and the segments of a
row lie near each other in the file."""


@dataclass(frozen=True)
class Cut:
    """How a document is cut into consecutive segments.

    Each segment begins with the last `ahead` tokens of the one before it: so each token, but for
    the first `ahead` of a document, is the target of exactly one segment.
    """

    payload: int
    """The most tokens of a segment."""
    ahead: int
    """Tokens that two segments share."""

    @property
    def step(self) -> int:
        """Tokens from the start of a segment to that of the next."""
        return self.payload - self.ahead

    def segments(self, lengths: Numbers) -> Numbers:
        """`(N,)`, the segments of documents of these lengths; 0 where nothing is learned."""
        return np.maximum(-(-(lengths - self.ahead) // self.step), 0)


@dataclass(frozen=True)
class Segments:
    """Parts of documents, each a stretch of one long array of tokens."""

    starts: Numbers
    """`(P,)`."""
    lengths: NDArray[np.int32]
    """`(P,)`."""

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def of(cls, starts: Numbers, lengths: Numbers, cut: Cut) -> Segments:
        """The segments of documents that start there and are so long: `(N,)` both.

        Example:
            >>> Segments.of(np.array([0]), np.array([8]), Cut(payload=4, ahead=1)).starts
            array([0, 3, 6])
        """
        counts = cut.segments(lengths)
        document = np.repeat(np.arange(len(counts)), counts)
        number = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
        offsets = number * cut.step
        sizes = np.minimum(lengths[document] - offsets, cut.payload)
        return cls(starts[document] + offsets, sizes.astype(np.int32))

    def chosen(self, order: Numbers) -> Segments:
        """Some of them, in the given order."""
        return Segments(self.starts[order], self.lengths[order])


@dataclass(frozen=True)
class Rows:
    """Segments, row after row."""

    segments: Segments
    firsts: Numbers
    """`(R + 1,)`: row r holds the segments from `firsts[r]` to before `firsts[r + 1]`."""

    def __len__(self) -> int:
        return len(self.firsts) - 1

    def filled(self, framing: int) -> Numbers:
        """`(R,)`, the tokens of each row, with those around its segments."""
        lengths = self.segments.lengths.astype(np.int64) + framing
        return np.add.reduceat(lengths, self.firsts[:-1]) if len(self) else lengths


def one_a_row(segments: Segments) -> Rows:
    """Each segment a row of its own."""
    return Rows(segments, np.arange(len(segments) + 1))


def packed(segments: Segments, capacity: int, framing: int = 0) -> Rows:
    """Segments put together so that few rows hold them all, in about the order of their documents.

    Args:
        segments: None longer than `capacity - framing`.
        capacity: Tokens of a row.
        framing: Tokens that each segment takes beside its own.

    Example:
        >>> segments = Segments(np.array([0, 6, 9]), np.array([6, 3, 2], dtype=np.int32))
        >>> packed(segments, capacity=8).segments.starts
        array([0, 9, 6])
    """
    orders, counts = [], []
    for start in range(0, len(segments), BLOCK_SEGMENTS):
        lengths = segments.lengths[start : start + BLOCK_SEGMENTS].astype(np.int64) + framing
        row = _by_first_segment(row_of_each(lengths, capacity))
        orders.append(start + np.argsort(row, kind="stable"))
        counts.append(np.bincount(row))
    order = np.concatenate(orders) if orders else np.zeros(0, dtype=np.int64)
    firsts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]) if counts else np.zeros(1)
    return Rows(segments.chosen(order), firsts.astype(np.int64))


def _by_first_segment(row: Numbers) -> Numbers:
    """The rows of the segments, numbered anew in the order of their first segments."""
    _, first = np.unique(row, return_index=True)
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[row]
