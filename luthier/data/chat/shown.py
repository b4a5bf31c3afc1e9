"""Conversations for people to look at: each token, and whether it is learned."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from luthier.data.chat.tokens import ChatTokens
from luthier.data.text.tokens.tokenizer import Tokenizer

MOST_TOKENS = 400
"""Of a conversation that is shown."""
MOST_BEFORE = 60
"""Tokens before the first that is learned, where all would not be seen otherwise."""


@dataclass(frozen=True)
class Stretch:
    """Tokens that stand together, all of them learned, or none."""

    learned: bool
    tokens: tuple[str, ...]
    """As a person sees each: on one line, spaces visible."""


@dataclass(frozen=True)
class ShownConversation:
    """A conversation as the network reads it."""

    name: str
    """Where it stands: `pairs.jsonl line 3`."""
    stretches: tuple[Stretch, ...]
    more: int
    """Tokens behind those that are shown."""
    before: int = 0
    """Tokens before them."""

    @classmethod
    def of(cls, row: ChatTokens, tokenizer: Tokenizer) -> ShownConversation:
        """What a row holds."""
        learned = row.learned.copy()
        learned[:1] = False  # nothing is before it to predict it from
        before = 0
        if learned.any() and len(learned) > MOST_TOKENS:
            before = max(int(learned.argmax()) - MOST_BEFORE, 0)
        some = slice(before, before + MOST_TOKENS)
        pairs = zip(learned[some].tolist(), row.tokens[some].tolist(), strict=True)
        stretches = tuple(
            Stretch(is_learned, tuple(tokenizer.token_text(token) for _, token in group))
            for is_learned, group in itertools.groupby(pairs, key=lambda pair: pair[0])
        )
        return cls(row.name, stretches, max(len(learned) - before - MOST_TOKENS, 0), before)

    def to_json(self) -> dict[str, Any]:
        """As `check --json` prints it."""
        return {
            "name": self.name,
            "tokens": [
                {"text": token, "learned": stretch.learned}
                for stretch in self.stretches
                for token in stretch.tokens
            ],
            "more": self.more,
            "before": self.before,
        }
