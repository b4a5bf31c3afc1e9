"""What data is read for: what a task wants to learn of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.data.sound.ngram import NgramSpec

Learned = Literal[
    "labels",
    "documents",
    "tags",
    "labels_and_tags",
    "preferences",
    "judgements",
    "answers",
    "transcripts",
    "pairs",
    "forecast",
]
"""labels: a class for each input · documents: the text itself · tags: a tag for each word ·
labels_and_tags: both, of the same input · preferences: which of two answers is better ·
judgements: whether an answer is good · answers: which span of a text answers a question ·
transcripts: what is said in a sound · pairs: what is to be written of each input · forecast: what
comes next in a series."""

Special = Literal["end", "unknown", "pad", "mask", "first", "separator"]
"""Tokens with a meaning of their own, by what a task needs them for."""


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a task wants of the data."""

    learns: Learned
    specials: tuple[Special, ...] = ()
    """Tokens that the task needs; a tokenizer that is trained gets them first, in this order."""
    ahead: int = 0
    """Tokens that a row of documents holds beyond its context: 1 to predict the next of each."""
    words: bool = False
    """Whether rows of documents tell which tokens go on with a word."""
    language: NgramSpec | None = None
    """A language model of what is said, for who writes transcripts; none where nobody asks."""
    most_tokens: int | None = None
    """The most tokens that `context: auto` may choose, where a network is there that can read no
    more; None for any number."""
    horizon: int = 0
    """Steps of a series that are forecast; 0 where nothing is."""
