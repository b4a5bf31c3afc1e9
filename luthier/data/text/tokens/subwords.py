"""Tokenizers whose tokens are parts of words, learned: BPE, WordPiece, unigram."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import tokenizers
from pydantic import Field
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

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

CONTINUES = "##"
"""Before a WordPiece token that does not begin a word."""
SCORE_DIGITS = 4
"""Unigram scores are log-probabilities; the trainer sums in the order of a hash table, so that
the last digits differ from run to run."""
SCORE_STEP = 1e-4
"""By so much the trainer parts the scores of characters that it has no estimate for, in the order
of a hash table."""


class BpeSpec(LearnedSpec):
    """Byte-level byte pair encoding, as in GPT-2: any text, in any script, comes back as it was.

    Source:
        Sennrich et al. 2016, 1508.07909; Radford et al. 2019 (GPT-2), section 2.2.
    """

    kind: Literal["bpe"] = "bpe"

    vocab: int = Field(default=8192, ge=1)
    """Tokens, with the 256 bytes and the special ones; fewer if the texts have not so many."""
    least: int = Field(default=2, ge=1)
    """A pair of tokens becomes one only if the two stand together so often."""

    def learn(self, pieces: Iterator[str], specials: Sequence[str]) -> tokenizers.Tokenizer:
        """The most frequent pair of tokens becomes one, again and again.

        Cost:
            Up to 80 bytes of memory and 2 microseconds for each byte of the texts, in scripts
            without spaces; far less where words repeat.
        """
        room = len(BYTE_LETTERS) + len(specials)
        need_room(self.vocab, room, f"{len(BYTE_LETTERS)} bytes and {len(specials)} special tokens")
        inner = tokenizers.Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocab,
            min_frequency=self.least,
            special_tokens=list(specials),
            initial_alphabet=list(BYTE_LETTERS),
            show_progress=False,
        )
        inner.train_from_iterator(pieces, trainer)
        return with_specials(inner, specials)


class WordpieceSpec(LearnedSpec):
    """WordPiece, as in BERT: words, and parts of words; spaces and control characters are lost.

    Chinese characters and punctuation marks are always words of their own.

    Source:
        Devlin et al. 2019, 1810.04805, and the code published with it.
    """

    kind: Literal["wordpiece"] = "wordpiece"

    vocab: int = Field(default=8192, ge=1)
    """Tokens, with the special ones; fewer if the texts have not so many."""
    lowercase: bool = True
    """Whether upper and lower case are the same; accents are then left out too."""
    least: int = Field(default=2, ge=1)
    """A pair of tokens becomes one only if the two stand together so often."""
    coverage: float = Field(default=0.9999, gt=0, le=1)
    """The share of all characters that the alphabet makes up; a word with a rarer one is
    unknown."""

    def learn(self, pieces: Iterator[str], specials: Sequence[str]) -> tokenizers.Tokenizer:
        """BPE over characters; then only its tokens are kept, not how they were made."""
        room = len(specials) + 1
        need_room(self.vocab, room, f"{len(specials)} special tokens, and one for the texts")
        normalizer = normalizers.BertNormalizer(lowercase=self.lowercase)
        texts = [normalizer.normalize_str(piece) for piece in pieces]
        alphabet, continuing = self._alphabet(texts, self.vocab - len(specials))
        trained = self._tokenizer(models.WordPiece(unk_token=own_name("unknown")))
        trainer = trainers.WordPieceTrainer(
            vocab_size=self.vocab,
            min_frequency=self.least,
            # Else the trainer numbers the continuing letters in the order of a hash table, and
            # prefers the lower number of two equally frequent pairs.
            special_tokens=[*specials, *continuing],
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=False,
        )
        trained.train_from_iterator(texts, trainer)
        model = models.WordPiece(trained.get_vocab(), unk_token=own_name("unknown"))
        return with_specials(self._tokenizer(model), specials)

    def _tokenizer(self, model: models.Model) -> tokenizers.Tokenizer:
        inner = tokenizers.Tokenizer(model)
        inner.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase)
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        inner.decoder = decoders.WordPiece(prefix=CONTINUES)
        return inner

    def _alphabet(self, texts: list[str], room: int) -> tuple[list[str], list[str]]:
        """Letters, the most frequent ones for which there is room, and those within words."""
        words = self._tokenizer(models.WordLevel(unk_token=own_name("unknown")))
        words.train_from_iterator(
            texts, trainers.WordLevelTrainer(vocab_size=2**31 - 1, show_progress=False)
        )
        inside = {letter for word in words.get_vocab() for letter in word[1:]}
        anywhere = inside | {word[0] for word in words.get_vocab()}
        counts = character_counts(texts)
        counts = Counter({letter: counts[letter] for letter in anywhere})
        alphabet: list[str] = []
        for letter in most_frequent(counts, self.coverage):
            room -= 1 + (letter in inside)
            if room < 0:
                break
            alphabet.append(letter)
        return alphabet, [CONTINUES + letter for letter in sorted(set(alphabet) & inside)]


class UnigramSpec(LearnedSpec):
    """A unigram language model over pieces of text, as in SentencePiece (T5, XLM-R).

    A text gets a space before it, and loses it again; but for that, and for unknown characters,
    it comes back as it was.

    Source:
        Kudo 2018, 1804.10959; Kudo and Richardson 2018 (SentencePiece), 1808.06226.
    """

    kind: Literal["unigram"] = "unigram"

    vocab: int = Field(default=8192, ge=1)
    """Tokens, with the special ones; fewer if the texts have not so many."""
    coverage: float = Field(default=0.9995, gt=0, le=1)
    """The share of all characters that the alphabet makes up; rarer ones are unknown."""
    train_bytes: int = Field(default=10_000_000, ge=1)
    """It is learned from the first so many bytes of the training texts."""

    def learn(self, pieces: Iterator[str], specials: Sequence[str]) -> tokenizers.Tokenizer:
        """From all frequent pieces, those are taken out that cost least likelihood.

        Cost:
            Up to 120 bytes of memory and 15 microseconds for each byte of the texts.
        """
        room = len(specials) + 3
        need_room(
            self.vocab, room, f"{len(specials)} special tokens, a space and two for the texts"
        )
        texts = list(pieces)
        counts = character_counts(texts)
        spaced = Counter({letter: counts[letter] for letter in counts if letter != " "})
        # Room for the space, and for one more: the trainer overfills a vocabulary that is full.
        alphabet = most_frequent(spaced, self.coverage)[: self.vocab - len(specials) - 2]
        rare = {ord(letter): " " for letter in spaced.keys() - set(alphabet)}
        inner = self._tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(
            vocab_size=self.vocab - len(specials) + 1,
            special_tokens=[own_name("unknown")],
            unk_token=own_name("unknown"),
            show_progress=False,
        )
        inner.train_from_iterator((text.translate(rare) for text in texts), trainer)
        learned = json.loads(inner.to_str())["model"]["vocab"]
        scored = _in_order([(piece, score) for piece, score in learned if piece not in specials])
        vocab = [(name, 0.0) for name in specials] + scored
        model = models.Unigram(vocab, unk_id=specials.index(own_name("unknown")))
        return with_specials(self._tokenizer(model), specials)

    def _tokenizer(self, model: models.Model) -> tokenizers.Tokenizer:
        inner = tokenizers.Tokenizer(model)
        inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), SPLIT_NAMES])
        inner.decoder = decoders.Metaspace()
        return inner


def _in_order(scored: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """The pieces, the likeliest first, free of the order of the trainer's hash tables."""
    lowest = min((score for _, score in scored), default=0.0)
    letters = sum(len(piece) == 1 for piece, _ in scored)
    guessed = lowest + (letters + 1) * SCORE_STEP
    settled = [
        (piece, round(lowest if len(piece) == 1 and score < guessed else score, SCORE_DIGITS))
        for piece, score in scored
    ]
    return sorted(settled, key=lambda item: (-item[1], item[0]))
