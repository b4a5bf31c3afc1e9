"""A row of a table as a conversation, or as answers to compare."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.data.chat.conversation import Conversation, Message, Role, UnusableRowError, checked
from luthier.data.chat.row_columns import RowColumns, Tags
from luthier.errors import nearest

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "observation": "tool",
}
CALL = "function_call"
"""A role of ShareGPT's: a turn of the assistant that calls a function."""
FLAGS = ("loss", "train", "weight", "loss_weight")
"""Each of them says of a message whether it is learned."""
OTHER = ("name", "tool_call_id", "reasoning_content")
_HUMAN_OR_ASSISTANT = re.compile(r"(?:^|\n\n)(Human|Assistant):")
"""How HH-RLHF writes whose turn it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Answers to the same: a better and a worse one; or a single one that is good, or not."""

    name: str
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...] | None
    """None where the only answer is a bad one."""
    rejected: tuple[Message, ...] | None
    """None where the only answer is a good one."""
    tools: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RowReading:
    """How the rows of a table are read."""

    columns: RowColumns
    system: str | None = None
    """The system message of rows that have none."""

    def conversation(self, name: str, values: Mapping[str, Any]) -> tuple[Conversation, int]:
        """A row as a conversation; of two answers, with the chosen one.

        Returns:
            It, and how many messages behind the last reply were left out.

        Raises:
            UnusableRowError: If it is none.
        """
        if self.columns.is_preference or self.columns.is_unpaired:
            compared = self.comparison(name, values)
            if compared.chosen is None:
                raise UnusableRowError("is labelled as a bad answer, which is not to be learned")
            whole = (*compared.prompt, *compared.chosen)
            return Conversation(name=name, messages=whole, tools=compared.tools), 0
        messages, left_out = checked(self._begun(values, [*self._dialogue(values)]))
        return Conversation(name=name, messages=messages, tools=self._tools(values)), left_out

    def comparison(self, name: str, values: Mapping[str, Any]) -> Comparison:
        """A row as answers to compare.

        Raises:
            UnusableRowError: If it has none, or they are the same.
        """
        tools = self._tools(values)
        if self.columns.is_unpaired:
            label = _yes_or_no("label", self._value(values, "label"))
            whole, _ = checked(self._begun(values, [*self._dialogue(values)]))
            prompt, answer = whole[:-1], whole[-1:]
            good, bad = (answer, None) if label else (None, answer)
            return Comparison(name=name, prompt=prompt, chosen=good, rejected=bad, tools=tools)
        opened = self._begun(values, [*self._opening(values)])
        both = []
        for side in ("chosen", "rejected"):
            value = self._value(values, side)
            if value is None or value in ("", []):
                raise UnusableRowError(f"has no {side} answer")
            said = [*self._answer(value, side)]
            both.append(checked([*opened, *said] if opened else self._begun(values, said))[0])
        shared = _shared(*both)
        chosen, rejected = both[0][shared:], both[1][shared:]
        if not chosen or not rejected:
            raise UnusableRowError("has chosen and rejected answers that are the same")
        return Comparison(
            name=name, prompt=both[0][:shared], chosen=chosen, rejected=rejected, tools=tools
        )

    def _value(self, values: Mapping[str, Any], field: str) -> Any:
        column = self.columns.names.get(field)
        return None if column is None else values.get(column)

    def _begun(self, values: Mapping[str, Any], messages: list[Message]) -> list[Message]:
        """The messages with the system message of the row, or of the recipe, before them."""
        own = self._value(values, "system")
        if own is not None and not isinstance(own, str):
            raise UnusableRowError(f"has {own!r:.40} as its system message; wanted a text")
        has = bool(messages) and messages[0].role == "system"
        if own and has:
            raise UnusableRowError("has two system messages, in its column and in its messages")
        text = own or (None if has else self.system)
        return [Message(role="system", content=text), *messages] if text and messages else messages

    def _dialogue(self, values: Mapping[str, Any]) -> Sequence[Message]:
        """All turns of a row with one answer."""
        names = self.columns.names
        for field in ("messages", "conversations"):
            if field in names:
                return _messages(self._value(values, field), self._tags(field))
        if "completion" in names:
            prompt = self._value(values, "prompt")
            answer = self._answer(self._value(values, "completion"), "completion")
            return [*_asked(prompt, "prompt"), *answer]
        return [*self._opening(values), *self._answer(self._value(values, "output"), "output")]

    def _opening(self, values: Mapping[str, Any]) -> list[Message]:
        """What comes before the answers; nothing where they are whole conversations."""
        names = self.columns.names
        for field in ("messages", "conversations"):
            if field in names:
                return [*_messages(self._value(values, field), self._tags(field))]
        if "prompt" in names:
            return _asked(self._value(values, "prompt"), "prompt")
        if "instruction" not in names:
            return []
        instruction = _text(self._value(values, "instruction"), "instruction")
        more = self._value(values, "input")
        if more not in (None, ""):
            instruction = f"{instruction}\n{_text(more, 'input')}"
        return [
            *_history(self._value(values, "history")),
            Message(role="user", content=instruction),
        ]

    def _answer(self, value: Any, what: str) -> Sequence[Message]:
        if isinstance(value, str):
            by_turns = _human_and_assistant(value) if what in ("chosen", "rejected") else []
            return by_turns or [Message(role="assistant", content=value)]
        tags = self.columns.tags or (Tags() if _looks_like_sharegpt(value) else _OPENAI)
        return _messages([value] if isinstance(value, Mapping) else value, tags)

    def _tags(self, field: str) -> Tags:
        return self.columns.tags or (Tags() if field == "conversations" else _OPENAI)

    def _tools(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        value = self._value(values, "tools")
        if isinstance(value, str) and value.strip():
            try:
                value = json.loads(value)
            except (json.JSONDecodeError, RecursionError) as error:
                raise UnusableRowError(f"has tools that are no JSON: {error}") from None
        if value in (None, "", []) or (isinstance(value, str) and not value.strip()):
            return ()
        if not isinstance(value, list):
            raise UnusableRowError(f"has {value!r:.40} as its tools; wanted a list")
        return tuple(value)


_OPENAI = Tags(role="role", content="content")


def _messages(value: Any, tags: Tags) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise UnusableRowError(f"has {value!r:.40}; wanted a list of messages")
    if tags.role == "from" and isinstance(value[0], Mapping) and "role" in value[0]:
        tags = Tags(role="role", content="content", roles=tags.roles)
    return [_message(one, tags, number) for number, one in enumerate(value, 1)]


def _message(value: Any, tags: Tags, number: int) -> Message:
    where = f"message {number}"
    if not isinstance(value, Mapping):
        raise UnusableRowError(f"{where} is {value!r:.40}; wanted {{{tags.role}, {tags.content}}}")
    known = {tags.role, tags.content, "tool_calls", *FLAGS, *OTHER}
    # A table in Parquet has every key that some row has, with nothing in it elsewhere.
    given = {key: item for key, item in value.items() if item is not None}
    for key in given:
        if key not in known:
            raise UnusableRowError(f'{where} has the unknown key "{key}"{nearest(key, known)}')
    if tags.role not in given:
        raise UnusableRowError(f'{where} has no "{tags.role}"{nearest(tags.role, given)}')
    said = given[tags.role]
    role = ROLES.get(tags.roles.get(said, said)) if isinstance(said, str) else None
    calls = _calls(given.get("tool_calls"), where)
    content = _content(given.get(tags.content), where)
    if tags.roles.get(str(said), said) == CALL:
        role, calls, content = "assistant", _called(content, where), ""
    if role is None:
        raise UnusableRowError(f"{where} is of {said!r:.40}{nearest(str(said), [*ROLES, CALL])}")
    learned = _learned(given, where)
    if learned and role != "assistant":
        raise UnusableRowError(f"{where} is to be learned, but is of {role}: only replies can be")
    return Message(
        role=role,
        content=content,
        learned=learned is not False,
        calls=calls,
        other=tuple((key, str(given[key])) for key in OTHER if key in given),
    )


def _content(value: Any, where: str) -> str:
    """A text, or the texts of parts."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise UnusableRowError(f"{where} has {value!r:.40} as its content; wanted a text")
    texts = []
    for part in value:
        kind = part.get("type") if isinstance(part, Mapping) else None
        text = part.get("text", part.get("value")) if isinstance(part, Mapping) else None
        if kind != "text" or not isinstance(text, str):
            raise UnusableRowError(f"{where} has a part of type {kind!r:.40}; only text is read")
        texts.append(text)
    return "".join(texts)


def _calls(value: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    if value in (None, []):
        return ()
    if not isinstance(value, list) or not all(isinstance(call, Mapping) for call in value):
        raise UnusableRowError(f"{where} has {value!r:.40} as its tool_calls; wanted a list")
    return tuple(value)


def _called(content: str, where: str) -> tuple[Mapping[str, Any], ...]:
    """The calls that ShareGPT writes as the text of a turn."""
    try:
        found = json.loads(content)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnusableRowError(f"{where} is a {CALL}, but no JSON: {error}") from None
    calls = found if isinstance(found, list) else [found]
    for call in calls:
        if not isinstance(call, Mapping) or not {"name", "arguments"} <= call.keys():
            raise UnusableRowError(f'{where} is a {CALL}; wanted {{"name", "arguments"}}')
    return tuple(
        {"type": "function", "function": {key: call[key] for key in ("name", "arguments")}}
        for call in calls
    )


def _learned(given: Mapping[str, Any], where: str) -> bool | None:
    """What the flags say; none if there are none."""
    said = {_yes_or_no(f"{where}: {key}", given[key]) for key in FLAGS if key in given}
    if len(said) > 1:
        raise UnusableRowError(f"{where} has flags that contradict each other")
    return said.pop() if said else None


def _yes_or_no(what: str, value: Any) -> bool:
    if value in (0, 1):
        return bool(value)
    raise UnusableRowError(f"{what} is {value!r:.40}; wanted true or false, 1 or 0")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise UnusableRowError(f"has {value!r:.40} as its {what}; wanted a text")
    return value


def _asked(value: Any, what: str) -> list[Message]:
    if isinstance(value, list):
        return _messages(value, Tags() if _looks_like_sharegpt(value) else _OPENAI)
    text = _text(value, what)
    turns = _human_and_assistant(text) or [Message(role="user", content=text)]
    # A prompt that ends with "Assistant:", for what comes behind it.
    return turns[:-1] if turns[-1].role == "assistant" and turns[-1].says_nothing else turns


def _history(value: Any) -> list[Message]:
    """Earlier questions and answers, as Alpaca rows bring them."""
    found: list[Message] = []
    for pair in value or ():
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UnusableRowError(f"has {pair!r:.40} in its history; wanted [question, answer]")
        question, answer = (_text(text, "history") for text in pair)
        found.append(Message(role="user", content=question))
        found.append(Message(role="assistant", content=answer))
    return found


def _human_and_assistant(text: str) -> list[Message]:
    """The turns of a conversation in the form of HH-RLHF; nothing if it is none.

    Example:
        >>> [m.role for m in _human_and_assistant("\\n\\nHuman: Hi\\n\\nAssistant: Hello")]
        ['user', 'assistant']
    """
    if not text.lstrip("\n").startswith("Human:"):
        return []
    parts = _HUMAN_OR_ASSISTANT.split(text)[1:]
    roles: Mapping[str, Role] = {"Human": "user", "Assistant": "assistant"}
    return [
        Message(role=roles[who], content=said.strip())
        for who, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def _looks_like_sharegpt(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, Mapping) and "from" in first


def _shared(first: Sequence[Message], second: Sequence[Message]) -> int:
    """How many turns two conversations begin with that are the same."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
