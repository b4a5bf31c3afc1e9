"""A chat template: how a conversation becomes one text that a network reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from jinja2 import Template
from jinja2.exceptions import TemplateError, TemplateSyntaxError

from luthier.data.chat.conversation import UnusableRowError
from luthier.data.chat.meter import check_size, metered
from luthier.data.chat.sandbox import (
    REPLY_CLOSES,
    REPLY_OPENS,
    Refused,
    compiled,
    strftime_for,
)
from luthier.errors import DataError

MOST_SOURCE_CHARACTERS = 2**20
USUAL_DAY = date(2024, 7, 26)
"""Told to templates that ask for the day, where nobody said another: as those of Llama 3.2 have
it."""
_GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")
_WRONG = (
    TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""All that a template can do wrong while it is rendered."""


@dataclass(frozen=True)
class ChatTemplate:
    """A template in Jinja, as models of the Hugging Face kind bring it.

    Example:
        >>> template = ChatTemplate("{% for m in messages %}{{ m.content }}!{% endfor %}")
        >>> template.render([{"role": "user", "content": "Hi"}])
        'Hi!'
    """

    source: str
    names: Mapping[str, str] = field(default_factory=dict)
    """Of special tokens, by what templates call them: `bos_token`, `eos_token`, …"""
    told: str = "the template"
    """What a person calls it."""
    day: date = USUAL_DAY
    """What `strftime_now` says."""

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Any] = (),
        reply: bool = False,
    ) -> str:
        """The text of a conversation; what `{% generation %}` blocks wrote stands between marks.

        Args:
            messages: `role`, `content` and so on.
            tools: What the assistant may call.
            reply: Whether it ends where the assistant goes on.

        Raises:
            UnusableRowError: If the template does not take it.
            TemplateLimitError: If it asks for too much.
            DataError: If it is no template.
        """
        given = {
            **self.names,
            "messages": [dict(message) for message in messages],
            "tools": list(tools) or None,
            "documents": None,
            "add_generation_prompt": reply,
            "strftime_now": strftime_for(self.day),
        }
        parts, size = [], 0
        try:
            with metered():
                for part in self._compiled.generate(given):
                    parts.append(part)
                    size += len(part)
                    check_size(size)
        except Refused as error:
            raise UnusableRowError(f"{self.told} refuses it: {error}") from None
        except _WRONG as error:
            raise UnusableRowError(
                f"{self.told} cannot render it: {type(error).__name__}: {error!s:.200}"
            ) from None
        return "".join(parts)

    def check(self) -> None:
        """Raise if it is no template.

        Raises:
            DataError: What is wrong with it, with its line.
        """
        assert self._compiled is not None

    @property
    def marks_replies(self) -> bool:
        """Whether it says itself what the assistant says."""
        return _GENERATION.search(self.source) is not None

    @cached_property
    def _compiled(self) -> Template:
        if len(self.source) > MOST_SOURCE_CHARACTERS:
            raise DataError(f"{self.told} is longer than {MOST_SOURCE_CHARACTERS:,} characters")
        try:
            return compiled(self.source)
        except TemplateSyntaxError as error:
            raise DataError(
                f"{self.told} is no template in Jinja: line {error.lineno}: {error.message}"
            ) from None
        except (*_WRONG, SyntaxError, MemoryError) as error:
            raise DataError(f"{self.told} is no template in Jinja: {error!s:.200}") from None


def without_marks(text: str) -> str:
    """A rendered text as a network reads it."""
    return text.replace(REPLY_OPENS, "").replace(REPLY_CLOSES, "")
