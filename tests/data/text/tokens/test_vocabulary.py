from __future__ import annotations

import numpy as np
import pytest

from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import (
    BpeSpec,
    BytesSpec,
    CharactersSpec,
    UnigramSpec,
    WordpieceSpec,
    WordsSpec,
    train_tokenizer,
)
from luthier.data.text.tokens.vocabulary import Vocabulary, WordBounds

TEXTS = ["the players played; it's 12 déjà vu, naïvely.\n", "牀前明月光，疑是地上霜。"] * 20


def trained(kind: str) -> Tokenizer:
    spec = {
        "bpe": BpeSpec(vocab=300),
        "bytes": BytesSpec(),
        "characters": CharactersSpec(),
        "wordpiece": WordpieceSpec(vocab=120, lowercase=False),
        "unigram": UnigramSpec(vocab=80),
        "words": WordsSpec(lowercase=False, least=1),
    }[kind]
    return train_tokenizer(spec, TEXTS, specials=["end"])


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    """The text, divided before each token that does not go on with a word."""
    vocabulary = Vocabulary.of(tokenizer)
    tokens = tokenizer.encode([text])[0].tokens
    found: list[bytes] = []
    for token, goes_on in zip(tokens, WordBounds(vocabulary).continuing(tokens, None), strict=True):
        if not goes_on:
            found.append(b"")
        found[-1] += vocabulary.contents[token]
    return [word.decode().strip() for word in found if word.strip()]


@pytest.mark.parametrize("kind", ["bpe", "bytes", "characters", "wordpiece", "unigram", "words"])
def test_words_are_what_a_reader_calls_words(kind: str) -> None:
    tokenizer = trained(kind)
    assert words(tokenizer, "the players, players") == ["the", "players", ",", "players"]
    assert words(tokenizer, "12 déjà vu,") == ["12", "déjà", "vu", ","]


@pytest.mark.parametrize("kind", ["bytes", "characters", "wordpiece"])
def test_a_chinese_character_is_a_word(kind: str) -> None:
    assert words(trained(kind), "牀前明月") == ["牀", "前", "明", "月"]


@pytest.mark.parametrize("kind", ["bpe", "bytes", "characters"])
def test_sizes_are_those_that_encoding_gives(kind: str) -> None:
    tokenizer = trained(kind)
    sizes = Vocabulary.of(tokenizer).sizes
    for text in TEXTS[:2]:
        pieces = tokenizer.encode([text])[0]
        assert sizes[pieces.tokens].tolist() == pieces.bytes.tolist()
    end = tokenizer.special("end")
    assert end is not None
    assert sizes[end] == 0


def test_a_token_after_others_looks_at_the_one_before() -> None:
    tokenizer = trained("characters")
    bounds = WordBounds(Vocabulary.of(tokenizer))
    letter, space = (int(tokenizer.encode([text])[0].tokens[0]) for text in ("p", " "))
    token = np.array([letter])
    assert bounds.continuing(token, letter).tolist() == [1]
    assert bounds.continuing(token, space).tolist() == [0]
    assert bounds.continuing(token, tokenizer.special("end")).tolist() == [0]
    assert bounds.continuing(token, None).tolist() == [0]
    assert bounds.continuing(token[:0], None).tolist() == []
