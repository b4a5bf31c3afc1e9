"""Texts to tokens and back, for every kind of tokenizer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models
from tokenizers_to_try import (
    EVERY,
    FEW,
    FOREIGN,
    LOSSLESS,
    SPECIALS,
    SPECS,
    TEXT,
    TEXTS,
    any_tokenizer,
    foreign_file,
    trained,
)

from luthier.data.text.tokens.cutting import valid
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError


@pytest.mark.parametrize("name", LOSSLESS)
@given(text=TEXT)
@FEW
def test_any_text_comes_back(name: str, text: str) -> None:
    tokenizer = trained(name)
    assert tokenizer.decode(tokenizer.encode([text])[0].tokens) == valid(text)


@given(text=st.text(st.sampled_from(sorted(set("".join(TEXTS)))), max_size=60))
def test_known_characters_come_back(text: str) -> None:
    characters = trained("characters")
    pieces = characters.encode([text])[0]
    assert characters.decode(pieces.tokens) == text
    assert len(pieces) == len(text)
    if not text.startswith(" ") and "▁" not in text:
        unigram = trained("unigram")
        assert unigram.decode(unigram.encode([text])[0].tokens) == text


def test_unknown_characters() -> None:
    characters = trained("characters")
    pieces = characters.encode(["a文b文"])[0]
    assert pieces.tokens.tolist()[1] == pieces.tokens.tolist()[3] == characters.special("unknown")
    assert characters.decode(pieces.tokens) == "ab"
    assert pieces.bytes.tolist() == [1, 3, 1, 3]


@pytest.mark.parametrize("name", EVERY)
@given(text=TEXT)
@FEW
def test_bytes_sum_to_the_text(name: str, text: str) -> None:
    pieces = any_tokenizer(name).encode([text])[0]
    assert pieces.tokens.dtype == np.int32
    assert pieces.bytes.dtype == np.uint16
    assert pieces.words.tolist() == [-1] * len(pieces)
    assert len(pieces.bytes) == len(pieces.tokens)
    if len(pieces):
        assert int(pieces.bytes.sum()) == len(valid(text).encode())


@pytest.mark.parametrize("name", ["bpe", "bytes", "characters"])
@given(text=TEXT)
@FEW
def test_bytes_are_those_of_each_token(name: str, text: str) -> None:
    tokenizer = trained(name)
    pieces = tokenizer.encode([text])[0]
    if name == "characters":
        assert pieces.bytes.tolist() == [len(letter.encode()) for letter in valid(text)]
    else:
        assert pieces.bytes.tolist() == [len(tokenizer._bytes_of(t)) for t in pieces.tokens]


def test_bytes_of_words_and_what_lies_between() -> None:
    words = trained("words")
    pieces = words.encode(["  The café \n"])[0]
    assert [words.token_text(token) for token in pieces.tokens] == ["the", "café"]
    assert pieces.bytes.tolist() == [5, 8]


def test_bytes_where_the_text_is_composed_first() -> None:
    pieces = any_tokenizer("qwen").encode(["cafe\u0301 x"])[0]
    assert int(pieces.bytes.sum()) == 8


def test_bytes_of_a_character_in_byte_tokens() -> None:
    tokenizer = any_tokenizer("llama")
    pieces = tokenizer.encode(["a床"])[0]
    names = [tokenizer.token_text(token) for token in pieces.tokens]
    assert names == ["␣", "a", "<0xE5>", "<0xBA>", "<0x8A>"]
    assert pieces.bytes[2:].tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", EVERY)
@given(text=TEXT)
@FEW
def test_no_text_spells_a_special_token(name: str, text: str) -> None:
    tokenizer = any_tokenizer(name)
    specials = {tokenizer.special(special) for special in SPECIALS}
    specials -= {None, tokenizer.special("unknown")}
    named = [tokenizer.decode([number], specials=True) for number in specials]
    hostile = text + " ".join(named) + text + "".join(named)
    tokens = tokenizer.encode([hostile])[0].tokens.tolist()
    tokens += tokenizer.encode_words([[text, *named]])[0].tokens.tolist()
    assert not specials & set(tokens)


def test_a_tokenizer_that_reads_special_names_is_caught() -> None:
    inner = tokenizers.Tokenizer.from_str(trained("bpe").to_json())
    tokens = inner.encode("a<|end|>b", add_special_tokens=False).ids
    assert trained("bpe").special("end") in tokens


def test_special_tokens_come_first_in_the_given_order() -> None:
    for name in SPECS:
        tokenizer = trained(name)
        assert [tokenizer.special(special) for special in SPECIALS] == list(range(6)), name
        assert tokenizer.decode([0, 2], specials=True).replace(" ", "") == "<|end|><|pad|>"
        assert tokenizer.decode([0, 2]) == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama", {"end": "</s>", "first": "<s>", "unknown": "<unk>", "separator": "</s>"}),
        (
            "roberta",
            {
                "end": "</s>",
                "first": "<s>",
                "unknown": "<unk>",
                "separator": "</s>",
                "pad": "<pad>",
                "mask": "<mask>",
            },
        ),
        ("qwen", {"end": "<|endoftext|>"}),
        (
            "bert",
            {
                "end": "[SEP]",
                "first": "[CLS]",
                "unknown": "[UNK]",
                "separator": "[SEP]",
                "pad": "[PAD]",
                "mask": "[MASK]",
            },
        ),
    ],
)
def test_special_tokens_of_other_projects(name: str, expected: dict[str, str]) -> None:
    tokenizer = any_tokenizer(name)
    found = {special: tokenizer.special(special) for special in SPECIALS}
    shown = {
        special: tokenizer.token_text(number)
        for special, number in found.items()
        if number is not None
    }
    assert shown == expected


def test_the_models_own_unknown() -> None:
    inner = tokenizers.Tokenizer(models.WordLevel({"*": 0, "a": 1}, unk_token="*"))
    assert Tokenizer(inner).special("unknown") == 0
    assert Tokenizer(inner).special("pad") is None


@pytest.mark.parametrize("name", FOREIGN)
@given(text=TEXT)
@FEW
def test_files_of_other_projects_do_as_the_library(name: str, text: str) -> None:
    tokenizer = any_tokenizer(name)
    inner = tokenizers.Tokenizer.from_str(foreign_file(name))
    inner.no_truncation()
    inner.no_padding()
    inner.encode_special_tokens = True
    ids = inner.encode(valid(text), add_special_tokens=False).ids
    assert tokenizer.encode([text])[0].tokens.tolist() == ids
    assert tokenizer.decode(ids) == inner.decode(ids)


@pytest.mark.parametrize("name", EVERY)
@given(data=st.data(), specials=st.booleans())
@FEW
def test_decoding_is_the_librarys(name: str, data: st.DataObject, specials: bool) -> None:
    tokenizer = any_tokenizer(name)
    numbers = st.lists(st.integers(0, tokenizer.size - 1), max_size=12)
    tokens = data.draw(numbers)
    inner = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    expected = inner.decode(tokens, skip_special_tokens=not specials)
    assert tokenizer.decode(np.array(tokens, dtype=np.int32), specials=specials) == expected


@pytest.mark.parametrize("name", EVERY)
def test_a_file_keeps_all(name: str) -> None:
    tokenizer = any_tokenizer(name)
    again = Tokenizer.from_json(tokenizer.to_json())
    assert again.to_json() == tokenizer.to_json()
    assert again.fingerprint == tokenizer.fingerprint
    assert again.size == tokenizer.size == len(json.loads(json.dumps(again._numbers)))
    for one, other in zip(again.encode(TEXTS), tokenizer.encode(TEXTS), strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()


def test_fingerprints_differ() -> None:
    assert len({any_tokenizer(name).fingerprint for name in EVERY}) == len(EVERY)


@pytest.mark.parametrize("name", EVERY)
@given(words=st.lists(TEXT, max_size=6), others=st.lists(st.sampled_from(["fox", "光"])))
@FEW
def test_each_word_has_a_token(name: str, words: list[str], others: list[str]) -> None:
    tokenizer = any_tokenizer(name)
    first, second = tokenizer.encode_words([words, others])
    assert sorted(set(first.words.tolist())) == list(range(len(words)))
    assert first.words.tolist() == sorted(first.words.tolist())
    assert sorted(set(second.words.tolist())) == list(range(len(others)))
    assert int(first.bytes.sum()) == len("".join(map(valid, words)).encode())
    for number, word in enumerate(words):
        alone = tokenizer.encode_words([[word]])[0]
        assert first.tokens[first.words == number].tolist() == alone.tokens.tolist()


def test_words_split_at_spaces_have_one_token_each() -> None:
    tokenizer = trained("words_at_spaces")
    words = ["The", "doesn't", "3.14", "nowhere", "dog.", "."]
    pieces = tokenizer.encode_words([words])[0]
    assert pieces.words.tolist() == list(range(6))
    shown = [tokenizer.token_text(token) for token in pieces.tokens]
    unknown = "<|unknown|>"
    assert shown == ["The", "doesn't", "3.14", unknown, "dog.", unknown]


def test_words_and_marks() -> None:
    tokenizer = trained("words")
    pieces = tokenizer.encode(["The dog, it's said, sleeps; 3.14 times!"])[0]
    shown = [tokenizer.token_text(token) for token in pieces.tokens]
    assert shown == ["the", "dog", ",", "it's", "said", ",", "sleeps", ";", "3.14", "times", "!"]
    assert tokenizer.decode(pieces.tokens) == "the dog, it's said, sleeps ; 3.14 times!"


def test_tokens_as_a_person_sees_them() -> None:
    bytes_, bpe, unigram = trained("bytes"), trained("bpe"), trained("unigram")
    shown = [bytes_.token_text(token) for token in bytes_.encode([" a\n中"])[0].tokens]
    assert shown == ["␣", "a", "\\n", "\\xe4", "\\xb8", "\\xad"]
    assert "␣the" in [bpe.token_text(token) for token in range(bpe.size)]
    assert unigram.token_text(unigram.encode(["The"])[0].tokens[0]).startswith("␣")
    assert bpe.token_text(0) == "<|end|>"
    assert bpe.token_text(10**6) == ""


def test_numbers_outside_of_the_vocabulary_add_nothing() -> None:
    for name in EVERY:
        tokenizer = any_tokenizer(name)
        fox = tokenizer.encode(["fox"])[0].tokens.tolist()
        assert tokenizer.decode([10**6, -1, *fox, tokenizer.size]) == tokenizer.decode(fox)


def test_one_number_more_than_the_highest_where_some_are_missing() -> None:
    assert Tokenizer(tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 7}, "a"))).size == 8


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": "1.0"}', "\x00", '{"model": 3}'])
def test_what_is_no_tokenizer(text: str) -> None:
    with pytest.raises(
        DataError, match=r"no tokenizer\.json that the tokenizers library .* can read: "
    ):
        Tokenizer.from_json(text)


def test_files_that_would_fail_later() -> None:
    lacks = json.loads(trained("words").to_json())
    del lacks["model"]["vocab"]["<|unknown|>"]
    lacks["added_tokens"] = []
    with pytest.raises(DataError, match=r"can read: WordLevel error: Missing \[UNK\]"):
        Tokenizer.from_json(json.dumps(lacks))
    huge = tokenizers.Tokenizer(models.WordLevel({"?": 0, "a": 2**31}, unk_token="?"))
    with pytest.raises(DataError, match="numbers tokens up to 2,147,483,648; at most 4,194,304"):
        Tokenizer.from_json(huge.to_str())


def test_many_texts_keep_their_order() -> None:
    tokenizer = trained("bpe")
    texts = [f"fox {number} " * (number % 7) for number in range(200)]
    found = tokenizer.encode(texts)
    assert [tokenizer.decode(pieces.tokens) for pieces in found] == texts
    assert tokenizer.encode([]) == []
    assert tokenizer.encode_words([]) == []
