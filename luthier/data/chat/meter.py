"""What rendering a template may cost: steps, characters, time.

A template comes from a stranger, like a recipe or a data set. What it asks for is counted while it
runs, so one that loops for ever, or doubles a text until memory is full, ends with an error.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace

MOST_STEPS = 500_000
"""Passes of loops, calls, filters and list items; a long conversation takes some thousands."""
MOST_CHARACTERS = 10_000_000
"""Of one value, and of all that a template writes."""
MOST_SECONDS = 10.0
"""Of a processor: how busy a machine is makes no difference."""
MOST_BITS = 1024
"""Of a whole number."""
CHARACTERS_A_STEP = 256
"""Characters that are handled in about the time of a step."""


class TemplateLimitError(Exception):
    """A template asks for too much, whatever is rendered."""


class Meter:
    """Counts what one rendering has cost."""

    def __init__(self) -> None:
        self.steps = 0
        self.written = 0
        self._deadline = time.thread_time() + MOST_SECONDS

    def step(self, count: int = 1) -> None:
        """So much more work.

        Raises:
            TemplateLimitError: If it is too much, or has taken too long.
        """
        self.steps += count
        if self.steps > MOST_STEPS:
            raise TemplateLimitError(
                f"the template takes more than {MOST_STEPS:,} steps: does it loop for ever?"
            )
        if time.thread_time() > self._deadline:
            raise TemplateLimitError(f"the template takes more than {MOST_SECONDS:.0f} seconds")

    def write(self, characters: int) -> None:
        """So much more text, whether it is in the end shown or not."""
        self.written += characters
        check_size(self.written)
        self.step(1 + characters // CHARACTERS_A_STEP)


_METER: ContextVar[Meter | None] = ContextVar("_METER", default=None)


def meter() -> Meter:
    """The meter of what is rendered now; one that starts at nothing, outside of that."""
    return _METER.get() or Meter()


@contextmanager
def metered() -> Any:
    """Counts what is rendered inside."""
    token = _METER.set(Meter())
    try:
        yield
    finally:
        _METER.reset(token)


def check_size(characters: int) -> None:
    """Refuses a text before it is made.

    Raises:
        TemplateLimitError: If it would have too many characters.
    """
    if characters > MOST_CHARACTERS:
        raise TemplateLimitError(f"the template makes more than {MOST_CHARACTERS:,} characters")


def measured(value: Any) -> Any:
    """The value itself, once it is known to be no larger than may be, whatever is nested in it.

    The same list inside itself many times counts as many times: it would be written so often.
    """
    if isinstance(value, str):
        check_size(len(value))
        meter().step(1 + len(value) // CHARACTERS_A_STEP)
        return value
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise TemplateLimitError(f"the template makes a number of more than {MOST_BITS} bits")
    if not isinstance(value, list | tuple | dict | set | Namespace):
        return value
    now, characters, left = meter(), 0, [value]
    while left:
        item = left.pop()
        now.step()
        if isinstance(item, str):
            characters += len(item)
            check_size(characters)
        elif isinstance(item, dict):
            left.extend(item.keys())
            left.extend(item.values())
        elif isinstance(item, list | tuple | set):
            left.extend(item)
        elif isinstance(item, Namespace):
            raise SecurityError("a namespace is no text, and no part of a list")
    return value
