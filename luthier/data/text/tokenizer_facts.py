"""How a tokenizer suits some texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from luthier.data.text.cutting import batches
from luthier.data.text.learned import excerpt
from luthier.data.text.tokenizer import Tokenizer

READ_BYTES = 10_000_000
EXAMPLES = 3
EXAMPLE_CHARACTERS = 80


@dataclass(frozen=True, kw_only=True)
class TokenizerExample:
    """How the beginning of a text is split."""

    text: str
    tokens: tuple[str, ...]
    """Each as a person sees it."""


@dataclass(frozen=True, kw_only=True)
class TokenizerFacts:
    """How a tokenizer suits the texts that were read."""

    size: int
    """Tokens that the tokenizer has."""
    used: int
    """Those of them that the texts use."""
    tokens: int
    """Tokens of the texts."""
    bytes: int
    """UTF-8 bytes of the texts."""
    unknown: int
    """Tokens that stand for what the vocabulary lacks."""
    examples: tuple[TokenizerExample, ...]

    @property
    def bytes_per_token(self) -> float:
        """How much a token says; 0 if there are none."""
        return self.bytes / self.tokens if self.tokens else 0.0

    @property
    def unknown_share(self) -> float:
        """Of the tokens; 0 if there are none."""
        return self.unknown / self.tokens if self.tokens else 0.0


def describe(
    tokenizer: Tokenizer, texts: Iterable[str], *, read_bytes: int = READ_BYTES
) -> TokenizerFacts:
    """How `tokenizer` suits the first `read_bytes` of the texts.

    Example:
        >>> from luthier.data.text.tokenizer_training import BytesSpec
        >>> facts = describe(Tokenizer(BytesSpec().build([])), ["a b", "ab"])
        >>> facts.tokens, facts.used, facts.examples[0].tokens
        (5, 3, ('a', '␣', 'b'))
    """
    seen = np.zeros(tokenizer.size, dtype=np.int64)
    size = 0
    shown: list[str] = []
    for _, pieces in batches(excerpt(texts, read_bytes)):
        tokens = np.concatenate([encoded.tokens for encoded in tokenizer.encode(pieces)])
        seen += np.bincount(tokens, minlength=len(seen))
        size += sum(len(piece.encode()) for piece in pieces)
        for piece in pieces:
            if len(shown) < EXAMPLES and piece.strip():
                shown.append(piece.strip()[:EXAMPLE_CHARACTERS])
    unknown = tokenizer.special("unknown")
    return TokenizerFacts(
        size=tokenizer.size,
        used=int(np.count_nonzero(seen)),
        tokens=int(seen.sum()),
        bytes=size,
        unknown=0 if unknown is None else int(seen[unknown]),
        examples=tuple(
            TokenizerExample(
                text=text,
                tokens=tuple(map(tokenizer.token_text, encoded.tokens.tolist())),
            )
            for text, encoded in zip(shown, tokenizer.encode(shown), strict=True)
        ),
    )
