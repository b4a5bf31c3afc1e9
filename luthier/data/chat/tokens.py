"""Rendered conversations as tokens, with which of them are learned.

Dimension key, for the whole file:
    T  tokens of a conversation
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from luthier.data.chat.conversation import MARKS, Conversation, UnusableRowError
from luthier.data.chat.template import ChatTemplate
from luthier.data.chat.turns import Span, around, rendered
from luthier.data.text.tokens.pieces import Spelled, narrow, sizes_from_ends
from luthier.data.text.tokens.tokenizer import Tokenizer

OPENS, CLOSES = MARKS[2:]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTokens:
    """A conversation as a network reads it."""

    name: str
    tokens: NDArray[np.int32]
    """`(T,)`."""
    bytes: NDArray[np.uint16]
    """`(T,)`, of the text that each stands for; 0 of special tokens."""
    learned: NDArray[np.bool_]
    """`(T,)`, whether it is predicted."""
    stops: tuple[int | None, ...]
    """The token that ends each reply; none where no special token does."""

    @property
    def answer(self) -> ChatTokens:
        """All of it, up to the last token that is learned."""
        learned = np.flatnonzero(self.learned)
        return self.first(int(learned[-1]) + 1) if len(learned) else self

    def first(self, count: int) -> ChatTokens:
        """Its first tokens."""
        return replace(
            self,
            tokens=self.tokens[:count],
            bytes=self.bytes[:count],
            learned=self.learned[:count],
        )


class ChatEncoder:
    """Makes tokens of conversations.

    Args:
        template: Renders them.
        tokenizer: Makes tokens of the text.
        last_only: Whether the last reply alone is learned.
    """

    def __init__(
        self, template: ChatTemplate, tokenizer: Tokenizer, *, last_only: bool = False
    ) -> None:
        self.template = template
        self.tokenizer = tokenizer
        self._last_only = last_only
        self._specials = tokenizer.special_names
        names = sorted(self._specials, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, names))) if names else None

    def prompt(self, messages: Conversation) -> list[int]:
        """The tokens of what was said, up to where the assistant goes on.

        Raises:
            UnusableRowError: If the template does not take it.
        """
        plain, tools = messages.plain(), messages.tools
        text = self.template.render(plain, tools=tools, reply=True)
        found = self._cut(text, self._earlier(messages, text))
        found = self._honest(messages, text, found, reply=True)
        return [int(token) for token in found.tokens]

    def encoded(self, conversation: Conversation) -> ChatTokens:
        """One conversation.

        Raises:
            UnusableRowError: If the template does not take it, or its turns cannot be found.
        """
        turns = rendered(self.template, conversation)
        found = self._cut(turns.text, [span.start for span in turns.replies])
        found = self._honest(conversation, turns.text, found)
        tokens, starts, ends = found.tokens, found.starts, found.ends
        learned = np.zeros(len(tokens), dtype=bool)
        special = np.isin(tokens, list(self._specials.values()))
        stops: list[int | None] = []
        for number, span in zip(conversation.replies, turns.replies, strict=True):
            first, behind, stop = _tokens_of(span, turns.text, starts, ends, special)
            message = conversation.messages[number]
            if behind - first <= (stop is not None):
                raise UnusableRowError(
                    f"{self.template.told} renders nothing of message {number + 1}, of assistant"
                )
            stops.append(None if stop is None else int(tokens[stop]))
            wanted = message.learned and (not self._last_only or number == conversation.replies[-1])
            learned[first:behind] = wanted
        sizes = narrow(sizes_from_ends(ends, turns.text))
        sizes[special] = 0
        return ChatTokens(
            name=conversation.name,
            tokens=tokens,
            bytes=sizes,
            learned=learned,
            stops=tuple(stops),
        )

    def _earlier(self, conversation: Conversation, text: str) -> list[int]:
        """Where earlier replies begin in what is to be gone on with."""
        if not conversation.replies:
            return []
        until = conversation.messages[: conversation.replies[-1] + 1]
        turns = rendered(self.template, replace(conversation, messages=until))
        same = text.startswith(turns.text[: turns.replies[-1].start])
        return [span.start for span in turns.replies] if same else []

    def _cut(self, text: str, places: Sequence[int]) -> Spelled:
        """The tokens of a text; none of them stands on both sides of where a reply begins.

        There a network is asked to go on, so it never sees a token that goes over it.
        """
        [found] = self.tokenizer.encode_rendered([text])
        cuts = [place for place in places if ((found.starts < place) & (found.ends > place)).any()]
        if not cuts:
            return found
        edges = [0, *cuts, len(text)]
        parts = [text[start:end] for start, end in itertools.pairwise(edges)]
        spelled = self.tokenizer.encode_rendered(parts)
        return Spelled(
            np.concatenate([part.tokens for part in spelled]),
            np.concatenate([part.starts + at for part, at in zip(spelled, edges, strict=False)]),
            np.concatenate([part.ends + at for part, at in zip(spelled, edges, strict=False)]),
        )

    def _honest(
        self, conversation: Conversation, text: str, found: Spelled, *, reply: bool = False
    ) -> Spelled:
        """The tokens, with no special token that somebody wrote into a message.

        The name of one in a message is text, as everywhere in luthier: so no user ends a turn of
        his own, and begins one of the system.
        """
        said = [message.content for message in conversation.messages]
        if self._special is None or not any(map(self._special.search, said)):
            return found
        spoken = self._spoken(conversation, text, reply)
        pieces = []
        places = (found.tokens.tolist(), found.starts.tolist(), found.ends.tolist())
        for token, start, end in zip(*places, strict=True):
            name = text[start:end]
            if token in self._specials.values() and spoken[start:end].any():
                [own] = self.tokenizer.encode([name])
                pieces += [(int(each), start, end) for each in own.tokens]
            else:
                pieces.append((token, start, end))
        made = np.array(pieces, dtype=np.int64).reshape(-1, 3)
        return Spelled(made[:, 0].astype(np.int32), made[:, 1], made[:, 2])

    def _spoken(self, conversation: Conversation, text: str, reply: bool) -> NDArray[np.bool_]:
        """`(characters,)`, whether each stands in what somebody said."""
        plain = [
            {**one, "content": around(one["content"], OPENS, CLOSES) if one["content"] else ""}
            for one in conversation.plain()
        ]
        marked = self.template.render(plain, tools=conversation.tools, reply=reply)
        codes = np.frombuffer(marked.encode("utf-32-le"), dtype="<u4")
        opens, closes = codes == ord(OPENS), codes == ord(CLOSES)
        inside = (np.cumsum(opens) - np.cumsum(closes)) > 0
        kept = ~(opens | closes | np.isin(codes, [ord(mark) for mark in MARKS[:2]]))
        if kept.sum() != len(text) or not np.array_equal(
            codes[kept], np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        ):
            raise UnusableRowError(
                "holds the name of a special token in a message, and "
                f"{self.template.told} changes messages, so that it cannot be told from one of its "
                "own"
            )
        found: NDArray[np.bool_] = inside[kept]
        return found


def _tokens_of(
    span: Span,
    text: str,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    special: NDArray[np.bool_],
) -> tuple[int, int, int | None]:
    """The first token of a reply, the one behind it, and the one that ends it, if any does."""
    first = int(np.searchsorted(starts, span.start))
    behind = int(np.searchsorted(starts, span.end))
    if not span.closed:
        behind = _closing(behind, text, starts, ends, special)
    ending = np.flatnonzero(special[first:behind])
    if not len(ending):
        return first, behind, None
    stop = first + int(ending[-1])
    # What stands behind the token that ends a turn, such as a line end, is the template's.
    if text[int(ends[stop]) : span.end].strip():
        return first, behind, None
    return first, stop + 1, stop


def _closing(
    behind: int,
    text: str,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    special: NDArray[np.bool_],
) -> int:
    """Behind the special token that closes what was said, with at most blanks before it."""
    for place in range(behind, len(starts)):
        if special[place]:
            return place + 1
        if text[int(starts[place]) : int(ends[place])].strip():
            break
    return behind


def stop_tokens(encoded: Sequence[ChatTokens]) -> frozenset[int]:
    """The tokens that end replies."""
    return frozenset(stop for one in encoded for stop in one.stops if stop is not None)
