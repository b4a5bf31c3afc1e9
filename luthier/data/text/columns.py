"""Which columns of a table hold the text, and the text of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.data.faults import Faults
from luthier.errors import DataError, nearest
from luthier.spec import Decision

USUAL = "text"
LOOKED_AT = 100
"""Rows that tell which columns hold texts."""


@dataclass(frozen=True)
class Columns:
    """The columns of the text, joined by line breaks."""

    names: tuple[str, ...]
    decision: Decision | None = None
    """Where they were recognised."""

    def text(self, place: str, values: Mapping[str, Any], faults: Faults) -> str | None:
        """The text of a row; none, and a fault, if there is none.

        Example:
            >>> row = {"title": "Dawn", "lines": ["Spring sleep", "knows no dawn"]}
            >>> Columns(("title", "lines")).text("a.json entry 1", row, Faults())
            'Dawn\\nSpring sleep\\nknows no dawn'
        """
        parts = []
        for name in self.names:
            value = values.get(name)
            if name not in values:
                faults.add(place, f'has no "{name}"{nearest(name, [str(key) for key in values])}')
                return None
            if value is None:
                continue
            if isinstance(value, str):
                parts.append(value)
            elif _is_texts(value):
                parts.extend(value)
            else:
                faults.add(
                    place, f'has {value!r:.40} as "{name}"; wanted a text, or a list of them'
                )
                return None
        return "\n".join(part for part in parts if part)

    def check(self, where: str, values: Mapping[str, Any]) -> None:
        """Raise if the first row of a table lacks one of them."""
        for name in self.names:
            if name not in values:
                raise DataError(
                    f'{where}: has no column "{name}" (data.column)'
                    f"{nearest(name, [str(key) for key in values])}"
                )


def recognised_columns(where: str, rows: Sequence[Mapping[str, Any]]) -> Columns:
    """The column that is called text, or the only one with texts.

    Args:
        where: The table, for the message.
        rows: The first rows.

    Raises:
        DataError: If it is not clear.
    """
    textual = textual_columns(rows)
    if USUAL in textual:
        return _decided(USUAL, "it is called so")
    if len(textual) == 1:
        return _decided(textual[0], "the only column with texts")
    if not textual:
        names = dict.fromkeys(name for row in rows for name in row)
        raise DataError(f"{where}: has no column with texts; it has {', '.join(map(str, names))}")
    raise DataError(
        f"{where}: has texts in {', '.join(textual)}; say which: data.column={textual[0]}, or "
        f"several, joined by line breaks: data.column=[{textual[0]},{textual[1]}]"
    )


def textual_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns with texts, or with lists of them."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if _is_textual([row.get(name) for row in rows])]


def _decided(name: str, reason: str) -> Columns:
    return Columns((name,), Decision(place="data.column", value=name, reason=reason))


def _is_textual(values: Sequence[Any]) -> bool:
    """Whether most of these are texts; numbers that are written as texts, as in CSV, are none."""
    given = [value for value in values if value is not None and value != ""]
    texts = [value for value in given if isinstance(value, str) or _is_texts(value)]
    if 2 * len(texts) <= len(given):
        return False
    return not all(isinstance(value, str) and _is_number(value) for value in texts)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
