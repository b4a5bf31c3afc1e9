"""All documents of a source in one file, while they are prepared: read once, then walked through.

A document may be larger than memory: it comes and goes in parts.
"""

from __future__ import annotations

import codecs
import hashlib
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.data.faults import Faults
from luthier.data.text.documents.chunks import Chunk, text_chunks
from luthier.data.text.tokens.cutting import BREAKS, Break
from luthier.errors import DataError

KEY_BYTES = 8


@dataclass(frozen=True)
class Spans:
    """Documents of a spool, or parts of them."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    ended: NDArray[np.bool_]
    """Whether the document ends there; not, where it was cut to divide it."""

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def size_bytes(self) -> int:
        """Of all of them."""
        return int((self.stops - self.starts).sum())

    def chosen(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Spans:
        """Some of them."""
        return Spans(self.starts[which], self.stops[which], self.ended[which])


class SpoolWriter:
    """Takes documents up, part by part.

    Args:
        path: The file to write.
        faults: Takes up documents that cannot be used.
        unit_bytes: 1 for text in UTF-8, which is checked; 2 for ready tokens.
    """

    def __init__(self, path: Path, faults: Faults, unit_bytes: int = 1) -> None:
        self._path = path
        self._file = path.open("wb", buffering=2**20)
        self._faults = faults
        self._unit_bytes = unit_bytes
        self._stops = array("q")
        self._keys = bytearray()
        self._groups = array("i")
        self._empty = 0
        self._size = 0
        self._begin()

    def _begin(self) -> None:
        self._length = 0
        self._checked = 0
        self._seen = False
        self._held = b""
        self._problem: str | None = None
        self._hash = hashlib.blake2b(digest_size=KEY_BYTES)
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def add(self, data: bytes, *, plain: bool = False) -> None:
        """The next part of the document that is being taken up.

        Args:
            data: Its bytes.
            plain: As they lie in a plain file: a byte order mark goes, and a line ends with `\\n`
                alone.
        """
        if self._problem is None:
            self._problem = self._fault_in(data, final=False)
        if self._problem is not None:
            return
        if plain:
            data = data if self._seen else data.removeprefix(codecs.BOM_UTF8)
            data = self._held + data
            self._held = b"\r" if data.endswith(b"\r") else b""
            data = data[: len(data) - len(self._held)].replace(b"\r\n", b"\n")
        self._seen = True
        self._hash.update(data)
        self._file.write(data)
        self._length += len(data)

    def end(self, name: str, group: int = 0) -> bool:
        """The document is whole.

        Args:
            name: What a person calls it.
            group: What it belongs to: a number that is kept.

        Returns:
            Whether it was kept: it is not if it is empty, or at fault.
        """
        problem = self._problem or self._fault_in(b"", final=True)
        length = self._length
        kept = problem is None and length > 0
        if kept:
            self._size += length
            self._stops.append(self._size)
            self._keys += self._hash.digest()
            self._groups.append(group)
        elif problem is not None:
            self._faults.add(name, problem)
            self.drop()
        else:
            self._empty += 1
        self._begin()
        return kept

    def drop(self) -> None:
        """The document that is being taken up goes."""
        self._file.seek(self._size)
        self._file.truncate()
        self._begin()

    def close(self) -> Spool:
        """What was taken up."""
        self._file.close()
        stops = np.frombuffer(self._stops, dtype=np.int64) if self._stops else np.zeros(0, np.int64)
        return Spool(
            path=self._path,
            unit_bytes=self._unit_bytes,
            stops=stops,
            keys=np.frombuffer(bytes(self._keys), dtype=np.int64),
            groups=np.array(self._groups, dtype=np.int32),
            empty=self._empty,
        )

    def _fault_in(self, data: bytes, *, final: bool) -> str | None:
        """What is wrong with the next part, if anything is; counted in bytes of the document."""
        if self._unit_bytes > 1:
            return None
        if not self._checked and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "is UTF-16 text; save it as UTF-8"
        held = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            place = self._checked - held + error.start
            byte = error.object[error.start]
            return f"is not UTF-8 text: byte 0x{byte:02x} at byte {place:,}; save it as UTF-8"
        if 0 in data:
            return f"holds a NUL byte, at byte {self._checked + data.index(0):,}: it is no text"
        self._checked += len(data)
        return None


@dataclass(frozen=True)
class Spool:
    """Documents, one after the other, in one file."""

    path: Path
    unit_bytes: int
    stops: NDArray[np.int64]
    """Where each ends, and the next begins."""
    keys: NDArray[np.int64]
    """A hash of each document's content: equal for equal documents."""
    groups: NDArray[np.int32]
    """What each belongs to."""
    empty: int
    """Documents that were left out because nothing is in them."""

    def __len__(self) -> int:
        return len(self.stops)

    @property
    def spans(self) -> Spans:
        """All documents."""
        starts = np.concatenate([np.zeros(1, dtype=np.int64), self.stops[:-1]])[: len(self)]
        return Spans(starts, self.stops, np.ones(len(self), dtype=bool))

    def boundary(self, place: int) -> int:
        """The first place from `place` on where a character or a token begins."""
        if self.unit_bytes > 1:
            return -(-place // self.unit_bytes) * self.unit_bytes
        with self.path.open("rb") as file:
            file.seek(place)
            after = file.read(4)
        return place + next((i for i, byte in enumerate(after) if byte & 0xC0 != 0x80), len(after))

    def chunks(self, spans: Spans, breaks: Sequence[Break] = BREAKS) -> Iterator[Chunk]:
        """The text of the spans, in parts of bounded size that are cut at breaks."""
        with _Parts(self.path) as parts:
            for start, stop in zip(spans.starts.tolist(), spans.stops.tolist(), strict=True):
                yield from text_chunks(parts.read, start, stop, breaks)

    def tokens(self, spans: Spans, most: int) -> Iterator[tuple[NDArray[np.uint16], bool]]:
        """Ready tokens of the spans, at most `most` at once, and whether a span ends there."""
        with _Parts(self.path) as parts:
            for start, stop in zip(spans.starts.tolist(), spans.stops.tolist(), strict=True):
                for begin in range(start, stop, 2 * most):
                    end = min(begin + 2 * most, stop)
                    yield np.frombuffer(parts.read(begin, end), dtype="<u2"), end == stop


class _Parts:
    """Reads a file at any place, without mapping it: what was read does not stay in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> _Parts:
        self._file = os.open(self._path, os.O_RDONLY)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def read(self, start: int, stop: int) -> bytes:
        data = os.pread(self._file, stop - start, start)
        if len(data) != stop - start:
            raise DataError(f"{self._path}: was cut off while it was read")
        return data
