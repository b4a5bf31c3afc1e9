"""What a reader found, and what decoding makes of it: rows of pictures with labels, by split.

Dimension key, for the whole file:
    N  rows of all splits      H  height      W  width      C  channels
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from luthier.data.image import Look, Pixels

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Rows = NDArray[np.int64]


class Encoded(Protocol):
    """A picture that is not decoded yet: a file, or a member of an archive."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            DataError: If it cannot be read; the message does not name it.
        """


@dataclass(frozen=True, kw_only=True)
class Part:
    """The rows of one split."""

    labels: Rows
    """`(rows,)` class numbers."""
    pictures: Pixels | Sequence[Encoded]
    """`(rows, H, W, C)` pixels; or what is still to be decoded."""

    def subset(self, rows: Rows) -> Part:
        """Some of the rows, in ascending order; itself, uncopied, where they are all of them."""
        if len(rows) == len(self.labels):
            return self
        chosen = (
            self.pictures[rows]
            if isinstance(self.pictures, np.ndarray)
            else [self.pictures[row] for row in rows]
        )
        return Part(labels=self.labels[rows], pictures=chosen)


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What a reader found at a place."""

    recognised: str
    """What it is, in one sentence."""
    classes: tuple[str, ...]
    """The names of the classes, by number."""
    parts: Mapping[Split, Part]
    """The splits that are given. Where there is only one, it is called train."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Every picture of every split in one array."""

    recognised: str
    classes: tuple[str, ...]
    images: Pixels
    """`(N, H, W, C)`; may lie in a memory-mapped file."""
    labels: Rows
    """`(N,)`."""
    names: Sequence[str] | None
    """What a person calls each row; none where rows have no names of their own."""
    splits: Mapping[Split, Rows]
    """The given splits, as numbers of rows."""
    looks: Mapping[Look, int]
    """How often each size and kind came in, before pictures were made equal."""
    skipped: tuple[tuple[str, str], ...] = field(default=())
    """Files that were left out, with the reason."""
    pixel_digest: str | None = None
    """A hash of `images`, where it is known without reading them."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why the size and the channels are what they are, where that was left to luthier."""
