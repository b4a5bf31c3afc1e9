"""What a starter recipe says of its data, and what it does with it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from luthier.data.text.tokens.tokenizer_training import TokenizerSpec
from luthier.spec import Decision
from luthier.yaml_source import write_yaml

WIDTH = 100
SHOWN_NAMES = 5


@dataclass(frozen=True, kw_only=True)
class StarterBody:
    """Parts of a recipe, as lines of YAML."""

    about: Sequence[str]
    """Comments: what the data is."""
    lines: Sequence[str]
    """What goes on with the data section, and all sections behind it."""


def comment(text: str, indent: str = "") -> list[str]:
    """A text as comments."""
    return textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def some_names(names: Sequence[str]) -> str:
    """The first names."""
    return ", ".join(names[:SHOWN_NAMES]) + (", …" if len(names) > SHOWN_NAMES else "")


def tokenizer_lines(decisions: Iterable[Decision]) -> list[str]:
    """The tokenizer that was decided, with the reason, to be changed; nothing if it was given."""
    for decision in decisions:
        if decision.place == "data.tokenizer":
            spec = TypeAdapter[TokenizerSpec](TokenizerSpec).validate_python(decision.value)
            chosen = spec.model_dump(mode="json", exclude_defaults=True)
            value = write_yaml({"tokenizer": {"kind": spec.kind, **chosen}}, compact=True)
            return [*comment(decision.reason, "  "), f"  {value.rstrip()}"]
    return []


def between(value: int, least: int, most: int) -> int:
    """The number, or the nearer of the two ends."""
    return min(max(value, least), most)
