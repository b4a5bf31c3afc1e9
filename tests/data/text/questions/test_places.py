"""Characters to tokens and back, of any text; windows that hold every token once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Inner
from tokenizers import models, normalizers, pre_tokenizers

from luthier.data.text.questions.places import characters_of, spelled, tokens_at
from luthier.data.text.questions.windows import windows_of
from luthier.data.text.tokens.subwords import BpeSpec, UnigramSpec, WordpieceSpec
from luthier.data.text.tokens.symbols import BytesSpec, CharactersSpec, WordsSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec, train_tokenizer

TRAINED_ON = [
    "The quick brown fox doesn't jump over the lazy dog; 3.14 times!",
    "床前明月光，疑是地上霜。",
    "a café 😀 naïve  two",
]
SPECS: dict[str, TokenizerSpec] = {
    "bpe": BpeSpec(vocab=300, least=1),
    "wordpiece": WordpieceSpec(vocab=200, least=1),
    "unigram": UnigramSpec(vocab=150, coverage=1.0),
    "bytes": BytesSpec(),
    "characters": CharactersSpec(),
    "words": WordsSpec(least=1),
}
TOKENIZERS = {
    name: train_tokenizer(spec, TRAINED_ON, specials=["pad"]) for name, spec in SPECS.items()
}
every_tokenizer = pytest.mark.parametrize("name", TOKENIZERS)
texts = st.lists(
    st.sampled_from([*"aeT .,，。\n床明光", "fox", "  ", "😀", "👩‍👧", "é", "e\u0301", "ﷺ", "½"])
    | st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=20,
).map("".join)


@every_tokenizer
@given(text=texts, data=st.data())
@settings(max_examples=60)
def test_tokens_to_characters_and_back(name: str, text: str, data: st.DataObject) -> None:
    tokens = spelled(TOKENIZERS[name].encode([text])[0], text)
    if not len(tokens.tokens):
        return
    assert (tokens.starts[1:] >= tokens.starts[:-1]).all()
    assert (tokens.ends[1:] >= tokens.ends[:-1]).all()
    assert (tokens.starts >= 0).all()
    assert (tokens.starts < tokens.ends).all()
    assert (tokens.ends <= len(text)).all()
    first = data.draw(st.integers(0, len(tokens.tokens) - 1))
    last = data.draw(st.integers(first, len(tokens.tokens) - 1))
    start, end = characters_of(tokens, first, last)
    found = tokens_at(tokens, start, end)
    assert found is not None
    assert characters_of(tokens, *found) == (start, end)


@every_tokenizer
@given(text=texts, data=st.data())
@settings(max_examples=60)
def test_a_span_is_inside_of_its_tokens(name: str, text: str, data: st.DataObject) -> None:
    tokens = spelled(TOKENIZERS[name].encode([text])[0], text)
    if not text.strip():
        return
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start + 1, len(text)))
    found = tokens_at(tokens, start, stop)
    if found is None:
        inside = [s < stop and e > start for s, e in zip(tokens.starts, tokens.ends, strict=True)]
        assert not any(inside)
        return
    first, last = found
    assert tokens.ends[first] > start
    assert tokens.starts[last] < stop
    assert first == 0 or tokens.ends[first - 1] <= start
    assert last + 1 == len(tokens.tokens) or tokens.starts[last + 1] >= stop


@given(texts, st.data())
def test_spans_of_characters_are_exact(text: str, data: st.DataObject) -> None:
    """By characters every span that begins and ends with something comes back as it was."""
    tokens = spelled(TOKENIZERS["characters"].encode([text])[0], text)
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start + 1, len(text)))
    if text[start].isspace() or text[stop - 1].isspace():
        return
    found = tokens_at(tokens, start, stop)
    assert found is not None
    assert characters_of(tokens, *found) == (start, stop)


def test_words_between_double_spaces() -> None:
    text = "  The  fox 😀  jumps. "
    tokens = spelled(TOKENIZERS["words"].encode([text])[0], text)
    said = [text[a:b] for a, b in zip(tokens.starts, tokens.ends, strict=True)]
    assert said == ["The", "fox", "😀", "jumps", "."]


def test_a_normalizer_that_makes_one_character_several() -> None:
    inner = Inner(models.WordLevel({"?": 0, "a": 1, "b": 2}, unk_token="?"))
    inner.normalizer = normalizers.NFKD()
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    text = "a ﷺ b"
    tokens = spelled(Tokenizer(inner).encode([text])[0], text)
    assert tokens_at(tokens, 2, 3) is not None
    first, last = tokens_at(tokens, 2, 3) or (0, 0)
    assert characters_of(tokens, first, last) == (2, 3)
    assert text[tokens.starts[-1] : tokens.ends[-1]] == "b"


@given(st.integers(1, 60), st.integers(1, 20), st.data())
def test_windows_score_each_token_once(tokens: int, room: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, room - 1))
    windows = windows_of(tokens, room, overlap)
    assert windows[0].start == windows[0].own == 0
    assert windows[-1].stop == tokens
    owns = [window.own for window in windows] + [tokens]
    for place, window in enumerate(windows):
        assert window.stop - window.start == min(room, tokens)
        assert window.start <= owns[place] < owns[place + 1] <= window.stop
        if place:
            assert windows[place - 1].stop - window.start >= overlap
        for token in range(owns[place], owns[place + 1]):
            shown = [_around(token, other) for other in windows]
            # The middle may lie half a token off.
            assert _around(token, window) >= max(shown) - 1


def _around(token: int, window: object) -> int:
    """The least that a window shows on one of the two sides of a token."""
    start, stop, _ = window  # type: ignore[misc]
    return min(token - start, stop - 1 - token) if start <= token < stop else -1
