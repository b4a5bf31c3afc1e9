"""Conversations for people to look at: each token, and whether it is learned."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from luthier.data.chat.tokens import ChatTokens
from luthier.data.text.tokenizer import Tokenizer

MOST_TOKENS = 400
"""Of a conversation that is shown."""


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
    """Tokens that are not shown."""

    @classmethod
    def of(cls, row: ChatTokens, tokenizer: Tokenizer) -> ShownConversation:
        """What a row holds."""
        learned = row.learned[:MOST_TOKENS].tolist()
        learned[:1] = [False]  # nothing is before it to predict it from
        pairs = zip(learned, row.tokens[:MOST_TOKENS].tolist(), strict=True)
        stretches = tuple(
            Stretch(is_learned, tuple(tokenizer.token_text(token) for _, token in group))
            for is_learned, group in itertools.groupby(pairs, key=lambda pair: pair[0])
        )
        return cls(row.name, stretches, max(len(row.tokens) - MOST_TOKENS, 0))

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
        }
