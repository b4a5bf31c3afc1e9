"""A conversation: what was said, by whom, and what of it is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from luthier.data.chat.sandbox import REPLY_CLOSES, REPLY_OPENS

Role = Literal["system", "user", "assistant", "tool"]
MARKS = (REPLY_OPENS, REPLY_CLOSES, "\ufdd2", "\ufdd3")
"""Code points that are no characters, and mark places in rendered texts."""


class UnusableRowError(Exception):
    """A row that cannot be used; says why, for who gathers such rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn."""

    role: Role
    content: str
    learned: bool = True
    """Whether it is learned, where it is the assistant's."""
    calls: tuple[Mapping[str, Any], ...] = ()
    """What the assistant calls: `{"type": "function", "function": {"name", "arguments"}}`."""
    other: tuple[tuple[str, str], ...] = ()
    """What templates may show beside: `name`, `tool_call_id`, `reasoning_content`."""

    def plain(self) -> dict[str, Any]:
        """As templates read it."""
        made: dict[str, Any] = {"role": self.role, "content": self.content, **dict(self.other)}
        if self.calls:
            made["tool_calls"] = [dict(call) for call in self.calls]
        return made

    @property
    def says_nothing(self) -> bool:
        """Whether it is empty."""
        return not (self.content.strip() or self.calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Turns, up to a reply."""

    name: str
    """Where it stands: `pairs.jsonl line 3`."""
    messages: tuple[Message, ...]
    tools: tuple[Any, ...] = ()
    """What the assistant may call, as its template shows it."""

    def plain(self) -> list[dict[str, Any]]:
        """The messages as templates read them."""
        return [message.plain() for message in self.messages]

    @property
    def replies(self) -> tuple[int, ...]:
        """The numbers of the assistant's turns."""
        return tuple(
            number for number, message in enumerate(self.messages) if message.role == "assistant"
        )

    @property
    def asked(self) -> str:
        """What was said before the first reply; conversations that begin alike stay together."""
        first = self.replies[0]
        return "\0".join(f"{m.role}\0{m.content}" for m in self.messages[:first])

    @property
    def text(self) -> str:
        """All that was said, to tell equal conversations and to learn a tokenizer from."""
        return "\n".join(f"{message.role}\n{message.content}" for message in self.messages)


def checked(
    messages: Sequence[Message], *, replies: bool = True
) -> tuple[tuple[Message, ...], int]:
    """Turns that make sense together, without empty system messages.

    Args:
        messages: As they were read.
        replies: Whether there must be one; what stands behind the last is then left out.

    Returns:
        The turns, and how many were left out.

    Raises:
        UnusableRowError: If they make none.
    """
    found: list[Message] = []
    for number, message in enumerate(messages, 1):
        if message.says_nothing:
            if message.role == "system":
                continue
            raise UnusableRowError(f"has an empty turn of {message.role} (message {number})")
        if message.role == "system" and found:
            raise UnusableRowError(f"has a turn of system that is not its first (message {number})")
        if message.role == "assistant" and (not found or found[-1].role == "system"):
            raise UnusableRowError(
                f"begins with assistant: nobody has said a word (message {number})"
            )
        if message.role == "assistant" and found[-1].role == "assistant":
            raise UnusableRowError(f"has two turns of assistant in a row (message {number})")
        if any(mark in message.content for mark in MARKS):
            raise UnusableRowError(f"holds a code point that is no character (message {number})")
        found.append(message)
    if not found:
        raise UnusableRowError("has no messages")
    if not replies:
        return tuple(found), 0
    last = max((n for n, message in enumerate(found) if message.role == "assistant"), default=None)
    if last is None:
        raise UnusableRowError("has no turn of assistant, so nothing to learn")
    return tuple(found[: last + 1]), len(found) - last - 1
