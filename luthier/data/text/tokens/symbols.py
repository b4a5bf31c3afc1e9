"""Tokenizers whose tokens are given by the script: bytes, characters, words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import tokenizers
from pydantic import Field
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from luthier.data.text.tokens.byte_letters import BYTE_LETTERS
from luthier.data.text.tokens.learned import (
    SPLIT_NAMES,
    LearnedSpec,
    character_counts,
    most_frequent,
    need_room,
    with_specials,
)
from luthier.data.text.tokens.special import own_name
from luthier.spec import Spec

WORDS_AND_MARKS = r"\p{N}+(?:[.,]\p{N}+)+|\w+(?:['’]\w+)*|[^\w\s]"
"""A word with the apostrophes inside it, a number with its points, or one mark.

Source:
    Unicode Standard Annex #29, rules WB6, WB7, WB11 and WB12, for these characters.
"""


class BytesSpec(Spec):
    """The 256 bytes: any text comes back as it was, and there is nothing to learn."""

    kind: Literal["bytes"] = "bytes"

    def build(self, specials: Sequence[str]) -> tokenizers.Tokenizer:
        """A byte's number is its value plus the count of special tokens."""
        vocab = {name: number for number, name in enumerate([*specials, *BYTE_LETTERS])}
        inner = tokenizers.Tokenizer(models.BPE(vocab, []))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        inner.decoder = decoders.ByteLevel()
        return with_specials(inner, specials)


class CharactersSpec(LearnedSpec):
    """Each character of the training texts is a token; others are unknown."""

    kind: Literal["characters"] = "characters"

    vocab: int | None = Field(default=None, ge=1)
    """The most tokens, with the special ones: the most frequent characters; none means all."""
    train_bytes: int = Field(default=200_000_000, ge=1)
    """The characters are those of the first so many bytes of the training texts."""

    def learn(self, pieces: Iterator[str], specials: Sequence[str]) -> tokenizers.Tokenizer:
        """Characters are numbered in the order of their code points."""
        letters = most_frequent(character_counts(pieces))
        if self.vocab is not None:
            need_room(
                self.vocab, len(specials) + 1, f"{len(specials)} special tokens and a character"
            )
            letters = letters[: self.vocab - len(specials)]
        vocab = {name: number for number, name in enumerate([*specials, *sorted(letters)])}
        inner = tokenizers.Tokenizer(models.BPE(vocab, [], unk_token=own_name("unknown")))
        inner.decoder = decoders.Fuse()
        return with_specials(inner, specials)


class WordsSpec(LearnedSpec):
    """Whole words and punctuation marks; rare ones are unknown, and spaces are lost.

    For scripts that write spaces between words: where there are none, take characters or bpe.
    """

    kind: Literal["words"] = "words"

    vocab: int = Field(default=20_000, ge=1)
    """The most tokens, with the special ones: the most frequent words."""
    lowercase: bool = True
    """Whether upper and lower case are the same."""
    least: int = Field(default=2, ge=1)
    """A word must occur so often."""
    split: Literal["marks", "spaces"] = "marks"
    """marks makes each punctuation mark a token of its own; spaces splits at spaces only, for texts
    that are split into words already."""
    train_bytes: int = Field(default=200_000_000, ge=1)
    """The words are those of the first so many bytes of the training texts."""

    def learn(self, pieces: Iterator[str], specials: Sequence[str]) -> tokenizers.Tokenizer:
        """Words are numbered by how frequent they are."""
        room = len(specials) + 1
        need_room(self.vocab, room, f"{len(specials)} special tokens and a word")
        inner = tokenizers.Tokenizer(models.WordLevel(unk_token=own_name("unknown")))
        if self.lowercase:
            inner.normalizer = normalizers.Lowercase()
        if self.split == "marks":
            inner.pre_tokenizer = pre_tokenizers.Split(
                Regex(WORDS_AND_MARKS), "removed", invert=True
            )
            inner.decoder = decoders.WordPiece()
        else:
            inner.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.WhitespaceSplit(), SPLIT_NAMES]
            )
        trainer = trainers.WordLevelTrainer(
            vocab_size=self.vocab,
            min_frequency=self.least,
            special_tokens=list(specials),
            show_progress=False,
        )
        inner.train_from_iterator(pieces, trainer)
        return with_specials(inner, specials)
