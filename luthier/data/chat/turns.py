"""Where the assistant's turns stand in a rendered conversation.

A turn begins where the template, asked for a reply to what was said before, stops: so what is
learned is what the network is asked for later, letter by letter. It ends with what the template
closes it with. Where the beginning of a conversation is rendered otherwise than in the whole, as
by templates that leave out earlier thoughts, marks that are put around what the assistant says
show where it went.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from luthier.data.chat.conversation import MARKS, Conversation, UnusableRowError
from luthier.data.chat.sandbox import REPLY_CLOSES, REPLY_OPENS
from luthier.data.chat.template import ChatTemplate, without_marks

OPENS, CLOSES = MARKS[2:]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text."""

    start: int
    end: int
    closed: bool = True
    """Whether what closes the turn is in it; else it is behind it, if there is something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """A conversation as text."""

    text: str
    replies: tuple[Span, ...]
    """Of each turn of the assistant."""


def rendered(template: ChatTemplate, conversation: Conversation) -> Turns:
    """The text, and where the replies stand in it.

    Raises:
        UnusableRowError: If the template does not take the conversation, or a turn cannot be found.
    """
    messages, tools = conversation.plain(), conversation.tools
    marked = template.render(messages, tools=tools)
    numbers = conversation.replies
    if template.marks_replies:
        return _by_blocks(template, marked, len(numbers))
    text = marked
    found: list[Span] = []
    content: dict[int, tuple[int, int]] | None = None
    for number in numbers:
        start = _end_of(template, text, messages[:number], tools, reply=True)
        last = number == len(messages) - 1
        end = len(text) if last else _end_of(template, text, messages[: number + 1], tools)
        closed = end is not None
        if start is None or end is None:
            if content is None:
                content = _contents(template, messages, tools, text)
            begins, stops = content.get(number, (-1, -1))
            start = begins if start is None else start
            end = stops if end is None else end
        if not (found[-1].end if found else 0) <= start <= end:
            raise _lost(template, number)
        found.append(Span(start, end, closed))
    return Turns(text=text, replies=tuple(found))


def _by_blocks(template: ChatTemplate, marked: str, count: int) -> Turns:
    """The replies that `{% generation %}` blocks show."""
    spans, place, start = [], 0, None
    for part in _pieces(marked):
        if part == REPLY_OPENS:
            start = place
        elif part == REPLY_CLOSES:
            assert start is not None
            spans.append(Span(start, place))
        else:
            place += len(part)
    if len(spans) != count:
        raise UnusableRowError(
            f"{template.told} has {len(spans)} generation blocks for {count} turns of assistant; "
            "wanted one for each"
        )
    return Turns(text=without_marks(marked), replies=tuple(spans))


def _pieces(marked: str) -> list[str]:
    """A text cut at its marks, which stand for themselves."""
    found = [marked]
    for mark in (REPLY_OPENS, REPLY_CLOSES):
        found = [
            piece
            for part in found
            for number, each in enumerate(part.split(mark) if part not in MARKS else [part])
            for piece in ([mark, each] if number else [each])
        ]
    return found


def _end_of(
    template: ChatTemplate,
    text: str,
    messages: list[dict[str, Any]],
    tools: tuple[Any, ...],
    *,
    reply: bool = False,
) -> int | None:
    """Where the first turns end in the whole text; none if it does not begin with them."""
    try:
        begun = template.render(messages, tools=tools, reply=reply)
    except UnusableRowError:
        return None
    return len(begun) if text.startswith(begun) else None


def _contents(
    template: ChatTemplate, messages: list[dict[str, Any]], tools: tuple[Any, ...], text: str
) -> dict[int, tuple[int, int]]:
    """Where what each turn of the assistant says stands in the text; -1 where that is not known."""
    found: dict[int, tuple[int, int]] = {}
    for number, message in enumerate(messages):
        if message["role"] != "assistant" or not message["content"].strip():
            continue
        changed = [*messages]
        changed[number] = {**message, "content": around(message["content"], OPENS, CLOSES)}
        marked = template.render(changed, tools=tools)
        if marked.replace(OPENS, "").replace(CLOSES, "") != text:
            continue
        start, end = marked.find(OPENS), marked.replace(OPENS, "").find(CLOSES)
        if marked.count(OPENS) <= 1 and marked.count(CLOSES) == 1:
            found[number] = (start, end)
    return found


def around(content: str, opens: str, closes: str) -> str:
    """A text with marks inside its blanks, which templates may trim.

    Example:
        >>> around(" so ", "<", ">")
        ' <so> '
    """
    bare = content.strip()
    before = content[: len(content) - len(content.lstrip())]
    return f"{before}{opens}{bare}{closes}{content[len(before) + len(bare) :]}"


def _lost(template: ChatTemplate, number: int) -> UnusableRowError:
    return UnusableRowError(
        f"{template.told} renders message {number + 1} so that it cannot be found; put "
        "{% generation %} and {% endgeneration %} into the template, around what the assistant says"
    )
