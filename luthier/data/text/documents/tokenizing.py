"""From spooled documents to a stream of tokens, in bounded memory.

Dimension key, for the whole file:
    L  tokens of a batch
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from luthier.data.text.documents.chunks import Chunk
from luthier.data.text.documents.spool import Spans, Spool
from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.stream import StreamWriter
from luthier.data.text.tokens.cutting import PROBES, Break
from luthier.data.text.tokens.pieces import LARGEST
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.vocabulary import Vocabulary, WordBounds

BATCH_BYTES = 2**20
"""Of text that is encoded at once: enough that all cores have work."""
BATCH_TOKENS = 2**18
Told = Callable[[int], None]


class _Encoded(NamedTuple):
    """The tokens of a part of a document."""

    tokens: NDArray[np.integer]
    bytes: NDArray[np.uint16]
    size: int
    """Bytes of the text."""
    ends: bool
    """Whether the document, or what is taken of it, ends there."""


@dataclass(frozen=True)
class Tokenizing:
    """How documents become a stream."""

    tokenizer: Tokenizer
    framing: Framing
    words: bool
    """Whether it is kept which tokens go on with a word."""

    def write(self, spool: Spool, spans: Spans, writer: StreamWriter, told: Told) -> None:
        """All documents of the spans, each in its frame where segments have none of their own.

        Args:
            spool: Where they are.
            spans: Which.
            writer: Takes the tokens up.
            told: Is told how many bytes are done.
        """
        parts = self._texts(spool, spans) if spool.unit_bytes == 1 else self._ready(spool, spans)
        joining = _Joining(self, spans, writer)
        done = 0
        for batch in parts:
            joining.add(batch)
            done += sum(part.size for part in batch)
            told(done)

    def _texts(self, spool: Spool, spans: Spans) -> Iterator[list[_Encoded]]:
        batch: list[Chunk] = []
        size = 0
        for chunk in spool.chunks(spans, breaks_of(self.tokenizer)):
            batch.append(chunk)
            size += chunk.size
            if size >= BATCH_BYTES:
                yield self._encoded(batch)
                batch, size = [], 0
        if batch:
            yield self._encoded(batch)

    def _encoded(self, batch: list[Chunk]) -> list[_Encoded]:
        found = self.tokenizer.encode([chunk.text for chunk in batch])
        return [
            _Encoded(pieces.tokens, pieces.bytes, chunk.size, chunk.ends)
            for pieces, chunk in zip(found, batch, strict=True)
        ]

    def _ready(self, spool: Spool, spans: Spans) -> Iterator[list[_Encoded]]:
        sizes = Vocabulary.of(self.tokenizer).sizes
        for tokens, ends in spool.tokens(spans, BATCH_TOKENS):
            yield [_Encoded(tokens, sizes[tokens], tokens.nbytes, ends)]


class _Joining:
    """Puts the parts of documents together, with what stands around each document."""

    def __init__(self, how: Tokenizing, spans: Spans, writer: StreamWriter) -> None:
        framing = how.framing
        self._writer = writer
        self._ended = spans.ended.tolist()
        self._number = 0
        self._begun = False
        self._length = 0
        self._uncounted = 0
        self._last: int | None = None
        self._bounds = WordBounds(Vocabulary.of(how.tokenizer)) if how.words else None
        around = not framing.each_segment
        self._opening = _one(framing.opening if around else None)
        self._closing = _one(framing.closing if around else None)

    def add(self, batch: list[_Encoded]) -> None:
        """The next parts."""
        tokens: list[NDArray[np.integer]] = []
        sizes: list[NDArray[np.integer]] = []
        words: list[NDArray[np.integer]] = []
        ends = []

        def take(some: NDArray[np.integer], bytes_of: NDArray[np.integer]) -> None:
            tokens.append(some)
            sizes.append(bytes_of)
            self._length += len(some)
            if self._bounds is not None:
                words.append(self._bounds.continuing(some, self._last))
                self._last = int(some[-1])

        for part in batch:
            if len(part.tokens):
                if not self._begun:
                    self._last = None
                    if len(self._opening):
                        take(self._opening, _NOTHING)
                    self._begun = True
                take(part.tokens, self._counted(part.bytes))
            else:
                self._uncounted += part.size
            if part.ends:
                if self._begun:
                    if self._ended[self._number] and len(self._closing):
                        take(self._closing, _NOTHING)
                    ends.append(self._length)
                self._number += 1
                self._begun, self._uncounted = False, 0
        self._writer.add(tokens, sizes, words if self._bounds is not None else None)
        for end in ends:
            self._writer.end(end)

    def _counted(self, bytes_of: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """The bytes, with those of a part before that had no token, such as a long blank."""
        if not self._uncounted:
            return bytes_of
        counted = bytes_of.copy()
        counted[0] = min(int(counted[0]) + self._uncounted, LARGEST)
        self._uncounted = 0
        return counted


_NOTHING = np.zeros(1, dtype=np.uint16)


def _one(token: int | None) -> NDArray[np.int32]:
    return np.array([] if token is None else [token], dtype=np.int32)


def breaks_of(tokenizer: Tokenizer) -> tuple[Break, ...]:
    """Where a text may be cut so that its parts give the tokens of the whole."""
    return tuple(
        place
        for place, before, after in PROBES
        if _ids(tokenizer, before + after) == _ids(tokenizer, before) + _ids(tokenizer, after)
    )


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode([text])[0].tokens.tolist()
    return ids
