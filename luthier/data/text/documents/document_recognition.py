"""Whether documents to learn a language from lie at a path, and how to read them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.data.faults import Faults
from luthier.data.readers.rows import read_rows
from luthier.data.readers.text import TextSpec
from luthier.data.readers.text_files import opened, text_files
from luthier.data.text.columns import LOOKED_AT, USUAL, textual_columns
from luthier.data.text.documents.documents import as_lines
from luthier.errors import DataError

HEAD_BYTES = 4096
_CUT_CHARACTER_BYTES = 3


def documents_at(place: Path) -> TextSpec | None:
    """The settings that read the documents at `place`; none if there are none.

    Of a table with several columns of texts and none that is called so, the longest texts are
    taken.

    Raises:
        DataError: If the place cannot be read.
    """
    try:
        files = text_files([str(place)])
        stored, form = next(opened(files.files[0], Faults("skip")))
        if form == "plain":
            with stored.open() as stream:
                return TextSpec(path=str(place)) if _is_text(stream.read(HEAD_BYTES)) else None
        if form == "tokens":
            return TextSpec(path=str(place))
        rows = read_rows(as_lines(stored), Faults("skip"), any_size=True)
        return _of_rows(str(place), [values for _, values in itertools.islice(rows, LOOKED_AT)])
    except DataError:
        return None  # whoever reads it tells what is wrong with it


def _of_rows(path: str, rows: Sequence[Mapping[str, Any]]) -> TextSpec | None:
    """The settings for a table that begins with these rows; none if no column has texts."""
    names = textual_columns(rows)
    if USUAL in names or len(names) == 1:
        return TextSpec(path=path)
    lengths = {
        name: sum(len(str(row[name])) for row in rows if row.get(name) is not None)
        for name in names
    }
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    return None if longest is None else TextSpec(path=path, column=longest)


def _is_text(head: bytes) -> bool:
    """Whether a file that begins so is UTF-8 text."""
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) == HEAD_BYTES and error.start >= HEAD_BYTES - _CUT_CHARACTER_BYTES
    return True
