"""Which columns of a table hold conversations, in the formats of the field, and a row as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from luthier.errors import DataError, nearest

FIELDS = (
    "messages",
    "conversations",
    "instruction",
    "input",
    "output",
    "history",
    "prompt",
    "completion",
    "system",
    "tools",
    "chosen",
    "rejected",
    "label",
)
"""What a column can hold."""
ASIDE = frozenset(
    (
        "id", "idx", "index", "uid", "uuid", "name", "source", "dataset", "category", "topic",
        "lang", "language", "split", "metadata", "meta", "model", "score", "created", "timestamp",
    )
)  # fmt: skip
"""Columns that tell about a row; nothing of them is learned."""


@dataclass(frozen=True, kw_only=True)
class Tags:
    """What a message of the form that ShareGPT brought up calls things."""

    role: str = "from"
    content: str = "value"
    roles: Mapping[str, str] = field(default_factory=dict)
    """Names of roles beyond the usual ones: `{"human": "user"}`."""


@dataclass(frozen=True, kw_only=True)
class RowColumns:
    """The columns that are read, by what they hold."""

    names: Mapping[str, str]
    """Field → column."""
    tags: Tags | None = None
    """Of messages, where a description gives them; none for the usual ones."""
    aside: tuple[str, ...] = ()
    """Columns that are not read."""

    @property
    def format(self) -> str:
        """What the format is called."""
        has = self.names.keys()
        if {"chosen", "rejected"} <= has:
            return "preferences (chosen and rejected)"
        if "label" in has:
            return "answers with a label each (KTO)"
        for field_name, called in (
            ("messages", "messages (OpenAI)"),
            ("conversations", "conversations (ShareGPT)"),
            ("completion", "prompt and completion"),
        ):
            if field_name in has:
                return called
        return "instructions (Alpaca)"

    @property
    def is_preference(self) -> bool:
        """Whether a row has two answers."""
        return "rejected" in self.names

    @property
    def is_unpaired(self) -> bool:
        """Whether a row has one answer, and says whether it is good."""
        return "label" in self.names


_SETS: tuple[tuple[str, ...], ...] = (
    ("chosen", "rejected"),
    ("messages",),
    ("conversations",),
    ("prompt", "completion"),
    ("instruction", "output"),
)
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "chosen": ("prompt", "messages", "conversations", "instruction", "input", "history"),
    "messages": ("label",),
    "conversations": ("label",),
    "prompt": ("label",),
    "instruction": ("input", "history", "label"),
}


def recognised(
    where: str,
    columns: Sequence[str],
    renamed: Mapping[str, str],
    ignore: Sequence[str] = (),
    tags: Tags | None = None,
) -> RowColumns:
    """What the columns of a table hold.

    Args:
        where: The table, for messages.
        columns: Their names.
        renamed: Field → column, where a recipe says it.
        ignore: Columns that a recipe says are not to be read.
        tags: Of messages, where a description of the data gives them.

    Raises:
        DataError: If they are no conversations, or a column is not known.

    Example:
        >>> recognised("a.jsonl", ["question", "completion", "id"], {"prompt": "question"}).names
        {'prompt': 'question', 'completion': 'completion'}
    """
    for name in (*renamed.values(), *ignore):
        if name not in columns:
            raise DataError(f'{where}: has no column "{name}"{nearest(name, columns)}')
    taken = set(renamed.values())
    there = {**{name: name for name in FIELDS if name in columns and name not in taken}, **renamed}
    there = {name: column for name, column in there.items() if column not in ignore}
    for wanted in _SETS:
        if all(name in there for name in wanted):
            fields = (*wanted, "system", "tools", *_OPTIONAL[wanted[0]])
            break
    else:
        raise DataError(_unknown(where, columns, there))
    used = {name: there[name] for name in FIELDS if name in there and name in fields}
    left = [name for name in columns if name not in used.values() and name not in ignore]
    strange = [name for name in left if name.lower() not in ASIDE]
    if strange:
        told = ", ".join(strange)
        raise DataError(
            f"{where}: {told}: not known beside {', '.join(used.values())}"
            f"{nearest(strange[0], set(FIELDS) - used.keys())}; say what a column holds, "
            f"data.columns={{completion: {strange[0]}}}, or that it is not to be read, "
            f"data.ignore=[{told}]"
        )
    return RowColumns(names=used, tags=tags, aside=(*left, *ignore))


def _unknown(where: str, columns: Sequence[str], there: Mapping[str, str]) -> str:
    wanted = " · ".join(", ".join(names) for names in _SETS)
    for names in _SETS:
        lacking = [name for name in names if name not in there]
        if len(lacking) < len(names):
            lacks = ", ".join(lacking)
            return (
                f"{where}: has {', '.join(there)}, but no {lacks}"
                f"{nearest(lacking[0], set(columns) - set(there.values()))}; if another column "
                f"holds it, say so: data.columns={{{lacking[0]}: …}}"
            )
    return (
        f"{where}: has the columns {', '.join(columns)}, which are no conversations; wanted "
        f"{wanted}; or say what each holds: data.columns={{prompt: …, completion: …}}"
    )
