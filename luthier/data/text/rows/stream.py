"""The tokens of a split in files, mapped into memory: read past memory, and by several processes.

Dimension key, for the whole file:
    N  documents      L  tokens of all documents
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from luthier.data.entry import settle

MOST_SMALL = 2**16
COUNTED_AT_ONCE = 2**22
BYTES_TYPE = np.dtype("<u2")
WORDS_TYPE = np.dtype("u1")
STARTS_TYPE = np.dtype("<i8")


def tokens_type(vocab: int) -> np.dtype[np.unsignedinteger]:
    """What holds a token: 16 bits where they are enough."""
    return np.dtype("<u2") if vocab <= MOST_SMALL else np.dtype("<u4")


@dataclass(frozen=True)
class TokenStream:
    """Documents as tokens, one after the other."""

    tokens: NDArray[np.unsignedinteger]
    """`(L,)`."""
    bytes: NDArray[np.uint16]
    """`(L,)`, UTF-8 bytes of the text that each token stands for."""
    words: NDArray[np.uint8] | None
    """`(L,)`, 1 where a token goes on with the word of the token before it; none where nobody
    asked."""
    starts: NDArray[np.int64]
    """`(N + 1,)`, where each document begins, and L."""
    learned: NDArray[np.bool_] | None = None
    """`(L,)`, whether a token is predicted; none where all are."""

    @property
    def documents(self) -> int:
        """N."""
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """`(N,)`, tokens of each document."""
        return np.diff(self.starts)

    def count(self, token: int) -> int:
        """How often a token is there; read in blocks, never all at once."""
        blocks = range(0, len(self.tokens), COUNTED_AT_ONCE)
        return sum(
            int(np.count_nonzero(self.tokens[at : at + COUNTED_AT_ONCE] == token)) for at in blocks
        )


class StreamWriter:
    """Writes a token stream to files, part by part: never more than a part is in memory.

    Args:
        folder: Where the files go.
        name: What theirs begin with: the split.
        vocab: Tokens of the tokenizer.
        words: Whether it is kept which tokens go on with a word.
    """

    def __init__(self, folder: Path, name: str, vocab: int, *, words: bool) -> None:
        self._types = _types(vocab, words=words)
        self._stack = ExitStack()
        self._files: dict[str, IO[bytes]] = {
            kind: self._stack.enter_context(_file(folder, name, kind).open("wb"))
            for kind in self._types
        }
        self._starts = array("q", [0])
        self._length = 0

    def add(
        self,
        tokens: Sequence[NDArray[np.integer]],
        bytes_of: Sequence[NDArray[np.integer]],
        words: Sequence[NDArray[np.integer]] | None,
    ) -> None:
        """More tokens: of as many documents, or parts of one, as there are arrays."""
        self._length += self._write("tokens", tokens)
        self._write("bytes", bytes_of)
        if words is not None:
            self._write("words", words)

    def end(self, length: int | None = None) -> None:
        """A document ends there.

        Args:
            length: Tokens up to there, of all documents; none means all that were added.
        """
        self._starts.append(self._length if length is None else length)

    def close(self) -> int:
        """Everything is on the disk. Returns the number of documents."""
        self._files["starts"].write(np.array(self._starts, dtype=STARTS_TYPE).tobytes())
        for file in self._files.values():
            settle(file)
        self._stack.close()
        return len(self._starts) - 1

    def _write(self, kind: str, parts: Sequence[NDArray[np.integer]]) -> int:
        joined = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        self._files[kind].write(joined.astype(self._types[kind]).data)
        return len(joined)


def read_stream(folder: Path, name: str, vocab: int, *, words: bool) -> TokenStream | None:
    """What was written; none if it is torn."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for kind, dtype in _types(vocab, words=words).items():
        path = _file(folder, name, kind)
        size = path.stat().st_size
        if size % dtype.itemsize or not size:
            return None
        # A map of an array, not np.memmap: its slices need no bookkeeping of their own.
        arrays[kind] = np.asarray(np.memmap(path, dtype=dtype, mode="r"))
    starts = arrays.pop("starts").astype(np.int64)
    if any(len(array) != starts[-1] for array in arrays.values()):
        return None
    return TokenStream(
        tokens=arrays["tokens"],  # type: ignore[arg-type]
        bytes=arrays["bytes"],  # type: ignore[arg-type]
        words=arrays.get("words"),  # type: ignore[arg-type]
        starts=starts,
    )


def _types(vocab: int, *, words: bool) -> dict[str, np.dtype[np.integer]]:
    types: dict[str, np.dtype[np.integer]] = {"tokens": tokens_type(vocab), "bytes": BYTES_TYPE}
    if words:
        types["words"] = WORDS_TYPE
    return {**types, "starts": STARTS_TYPE}


def _file(folder: Path, name: str, kind: str) -> Path:
    return folder / f"{name}-{kind}.bin"
