"""Documents, one after the other, in parts, out of files of any form."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from luthier.data.faults import Faults
from luthier.data.readers.rows import Row, read_rows
from luthier.data.readers.stored import Stored
from luthier.data.readers.text_files import Form
from luthier.data.text.columns import LOOKED_AT, Columns, recognised_columns
from luthier.errors import DataError

Unit = Literal["file", "line", "blank_line"]
PART_BYTES = 2**20
TOKEN_BYTES = 2


class Part(NamedTuple):
    """A part of a document."""

    name: str
    """What a person calls the document."""
    data: bytes
    ends: bool
    """Whether the document ends with it."""
    plain: bool
    """Whether its bytes are as they lie in a file of text."""


@dataclass
class Reading:
    """How documents are found in files; learns from the first table which column they are in."""

    unit: Unit
    """What is a document, in a file of plain text."""
    columns: Columns | None
    """Of tables; none until they are recognised."""
    vocab: int | None = None
    """Of files of tokens."""
    end: int | None = None
    """The token that ends a document, in files of tokens."""

    def parts(self, file: Stored, form: Form, faults: Faults) -> Iterator[Part]:
        """The documents of a file.

        Raises:
            DataError: If it cannot be read.
        """
        if form == "table":
            return self._of_rows(file, faults)
        if form == "tokens":
            return self._of_tokens(file)
        return {"file": _whole, "line": _lines, "blank_line": _blocks}[self.unit](file)

    def _of_rows(self, file: Stored, faults: Faults) -> Iterator[Part]:
        rows: Iterator[Row] = read_rows(as_lines(file), faults, any_size=True)
        first = list(itertools.islice(rows, LOOKED_AT))
        if not first:
            return
        if self.columns is None:
            self.columns = recognised_columns(file.where, [values for _, values in first])
        self.columns.check(file.where, first[0][1])
        for place, values in itertools.chain(first, rows):
            text = self.columns.text(place, values, faults)
            if text is None:
                continue
            try:
                yield Part(place, text.encode(), ends=True, plain=False)
            except UnicodeEncodeError:
                faults.add(place, "holds half of a surrogate pair: it is no text in Unicode")

    def _of_tokens(self, file: Stored) -> Iterator[Part]:
        assert self.vocab is not None, "files of tokens need a tokenizer"
        number, position = 1, 0
        with file.open() as stream:
            while data := stream.read(PART_BYTES):
                if len(data) % TOKEN_BYTES:
                    raise DataError(f"{file.where}: has half a token at its end: is it cut off?")
                tokens = np.frombuffer(data, dtype="<u2")
                if tokens.max() >= self.vocab:
                    at = int(np.argmax(tokens >= self.vocab))
                    raise DataError(
                        f"{file.where}: token {position + at:,} is {tokens[at]}; the tokenizer "
                        f"has {self.vocab:,} (data.tokenizer)"
                    )
                position += len(tokens)
                ends = [] if self.end is None else np.flatnonzero(tokens == self.end).tolist()
                start = 0
                for end in [*ends, len(tokens)]:
                    name = f"{file.name} document {number}"
                    last = end < len(tokens)
                    yield Part(name, tokens[start:end].tobytes(), ends=last, plain=False)
                    number += last
                    start = end + 1
        yield Part(f"{file.name} document {number}", b"", ends=True, plain=False)


def _whole(file: Stored) -> Iterator[Part]:
    with file.open() as stream:
        while data := stream.read(PART_BYTES):
            yield Part(file.name, data, ends=False, plain=True)
    yield Part(file.name, b"", ends=True, plain=True)


def _lines(file: Stored) -> Iterator[Part]:
    """Each line that is not blank."""
    number, inside = 0, False
    with file.open() as stream:
        while data := stream.readline(PART_BYTES):
            ends = data.endswith(b"\n")
            number += not inside
            if inside or not _is_blank(data):
                data = data[:-1].removesuffix(b"\r") if ends else data
                yield Part(f"{file.name} line {number}", data, ends=ends, plain=True)
                inside = not ends
    if inside:
        yield Part(f"{file.name} line {number}", b"", ends=True, plain=True)


def _blocks(file: Stored) -> Iterator[Part]:
    """What stands between blank lines."""
    number, first, inside, in_line, break_before = 0, 0, False, False, b""
    with file.open() as stream:
        while data := stream.readline(PART_BYTES):
            ends = data.endswith(b"\n")
            number += not in_line
            blank = not in_line and _is_blank(data)
            in_line = not ends
            if blank:
                if inside:
                    yield Part(f"{file.name} line {first}", b"", ends=True, plain=True)
                inside, break_before = False, b""
                continue
            first = first if inside else number
            text = data[:-1].removesuffix(b"\r") if ends else data
            yield Part(f"{file.name} line {first}", break_before + text, ends=False, plain=True)
            inside, break_before = True, data[len(text) :]
    if inside:
        yield Part(f"{file.name} line {first}", b"", ends=True, plain=True)


def _is_blank(data: bytes) -> bool:
    """Whether a line is; not, where it goes on beyond what was read of it."""
    goes_on = len(data) == PART_BYTES and not data.endswith(b"\n")
    return not goes_on and not data.strip()


def as_lines(file: Stored) -> Stored:
    """A .json file with an object a line, as the .jsonl file that it is."""
    if file.path.suffix.lower() != ".json":
        return file
    with file.open() as stream:
        head = stream.read(PART_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
    first, _, rest = head.partition(b"\n")
    one_a_line = (first[:1], first.rstrip()[-1:], rest.lstrip()[:1]) == (b"{", b"}", b"{")
    return replace(file, path=file.path.with_suffix(".jsonl")) if one_a_line else file
