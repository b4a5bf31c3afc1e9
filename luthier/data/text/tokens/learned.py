"""What all tokenizers share that are learned from texts."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tokenizers
from pydantic import Field
from tokenizers import AddedToken, pre_tokenizers

from luthier.data.text.tokens.cutting import cut
from luthier.errors import Problem, SpecError
from luthier.spec import Spec

Progress = Callable[[str, int, int], None]
"""Told (what is being done, how much is done, how much there is in all)."""

PLACE = "data.tokenizer"
LONGEST_PIECE = 2**16
TOLD_EVERY_BYTES = 2**20
SPLIT_NAMES = pre_tokenizers.Split("<|", "isolated")
"""For models that look up whole words: so that no text spells the name of a special token."""


class LearnedSpec(Spec):
    """A tokenizer that is learned from the training texts."""

    train_bytes: int = Field(default=50_000_000, ge=1)
    """It is learned from the first so many bytes of the training texts."""

    @abstractmethod
    def learn(self, pieces: Iterator[str], specials: Sequence[str]) -> tokenizers.Tokenizer:
        """A tokenizer for texts like these.

        Args:
            pieces: The training texts, the long ones cut.
            specials: Names of special tokens: they get the first numbers.

        Raises:
            SpecError: If the vocabulary is too small for what it must hold.
        """


def excerpt(texts: Iterable[str], limit: int, progress: Progress | None = None) -> Iterator[str]:
    """The first `limit` bytes of the texts, the long ones cut; none of it is kept."""
    done = told = 0
    for text in texts:
        for piece in cut(text, most=LONGEST_PIECE):
            encoded = piece.encode()
            if done + len(encoded) > limit:
                piece = encoded[: limit - done].decode(errors="ignore")
            done += len(encoded)
            if piece:
                yield piece
            if progress is not None and done - told >= TOLD_EVERY_BYTES:
                told = done
                progress("reading texts for the tokenizer", min(done, limit), limit)
            if done >= limit:
                return


def character_counts(pieces: Iterable[str]) -> Counter[str]:
    """How often each character occurs."""
    counts = np.zeros(0x110000, dtype=np.int64)
    for piece in pieces:
        codes = np.frombuffer(piece.encode("utf-32-le"), dtype="<u4")
        found, times = np.unique(codes, return_counts=True)
        counts[found] += times
    present = np.flatnonzero(counts)
    return Counter({chr(code): int(counts[code]) for code in present})


def most_frequent(counts: Counter[str], coverage: float = 1.0) -> list[str]:
    """Characters, the most frequent first, of equally frequent ones the lower code point.

    Args:
        counts: How often each occurs.
        coverage: The share of all occurrences that they make up.
    """
    ordered = sorted(counts, key=lambda letter: (-counts[letter], letter))
    sums = np.cumsum([counts[letter] for letter in ordered])
    if not len(sums):
        return []
    return ordered[: int(np.searchsorted(sums, coverage * sums[-1])) + 1]


def need_room(vocab: int, least: int, why: str) -> None:
    """Check that a vocabulary can hold what it must.

    Raises:
        SpecError: If it cannot.
    """
    if vocab < least:
        message = f"got {vocab}; wanted at least {least}: {why}"
        raise SpecError([Problem(place=f"{PLACE}.vocab", message=message)])


def with_specials(inner: tokenizers.Tokenizer, specials: Sequence[str]) -> tokenizers.Tokenizer:
    """`inner`, which knows that these tokens of its vocabulary are special."""
    inner.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in specials]
    )
    return inner
