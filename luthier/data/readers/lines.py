"""Lines of a text file, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from luthier.data.readers.stored import Stored
from luthier.errors import DataError

LONGEST_LINE_BYTES = 64 * 2**20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Line(NamedTuple):
    """One line."""

    number: int
    """From 1."""
    text: str
    """Without its end, `\\n` or `\\r\\n`. Where bytes are not UTF-8, they stand in it as
    surrogates; empty where the line is too long."""
    problem: str | None
    """Why it cannot be used."""


def read_lines(file: Stored) -> Iterator[Line]:
    """Every line of a UTF-8 file; a byte order mark at its start is left out.

    Raises:
        DataError: If the file cannot be read at all.
    """
    with file.open() as stream:
        number = start = 0
        while data := stream.readline(LONGEST_LINE_BYTES + 1):
            number += 1
            size = len(data)
            if size > LONGEST_LINE_BYTES and not data.endswith(b"\n"):
                while data and not data.endswith(b"\n"):
                    data = stream.readline(LONGEST_LINE_BYTES)
                    size += len(data)
                yield Line(number, "", f"is longer than {LONGEST_LINE_BYTES // 2**20} MiB")
            else:
                if not start:
                    if data.startswith(_UTF_16):
                        raise DataError(f"{file.where}: is UTF-16 text; wanted UTF-8: save it so")
                    data = data.removeprefix(_BYTE_ORDER_MARK)
                yield Line(number, *_decoded(data, start + size - len(data)))
            start += size


def _decoded(data: bytes, start: int) -> tuple[str, str | None]:
    """The text of a line that begins at byte `start` of its file, and what is wrong with it."""
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    problem = None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text = data.decode(errors="surrogateescape")
        problem = (
            f"is not UTF-8 text: byte 0x{data[error.start]:02x} at byte "
            f"{start + error.start:,} of the file"
        )
    if "\0" in text:
        problem = f"holds a NUL byte, at byte {start + data.index(0):,} of the file"
    return text, problem
