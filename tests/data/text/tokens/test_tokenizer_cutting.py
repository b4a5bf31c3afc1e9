"""Long texts are cut where it changes no token."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers_to_try import EVERY, FEW, TEXT, TEXTS, any_tokenizer, trained

from luthier.data.text.tokens import cutting
from luthier.data.text.tokens.cutting import BREAKS, MARK, batches, cut, valid


@given(text=TEXT, usual=st.integers(2, 20), more=st.integers(0, 20))
def test_the_pieces_are_the_text(text: str, usual: int, more: int) -> None:
    pieces = list(cut(text, usual=usual, most=usual + more))
    assert "".join(pieces) == valid(text)
    assert all(pieces) or pieces == [""]
    assert all(len(piece) <= usual + more for piece in pieces)


@pytest.mark.parametrize("name", EVERY)
@FEW
@given(text=st.lists(TEXT, max_size=4).map(" ".join), usual=st.integers(8, 30))
def test_the_tokens_stay_the_same(name: str, text: str, usual: int) -> None:
    tokenizer = any_tokenizer(name)
    pieces = list(cut(text, tokenizer._breaks, usual=usual))
    parts = [token for piece in pieces for token in tokenizer._ids(piece)]
    assert parts == tokenizer._ids(valid(text))


def test_cuts_where_tokens_reach_across_are_caught() -> None:
    tokenizer = any_tokenizer("llama")
    text = TEXTS[0]
    pieces = list(cut(text, BREAKS, usual=20))
    parts = [token for piece in pieces for token in tokenizer._ids(piece)]
    assert len(pieces) > 2
    assert parts != tokenizer._ids(text)
    assert tokenizer._breaks == ()


def test_the_kinds_know_where_they_may_be_cut() -> None:
    assert trained("bpe")._breaks == BREAKS
    assert MARK not in trained("unigram")._breaks
    assert trained("unigram")._breaks


def test_chinese_is_cut_before_marks() -> None:
    assert list(cut("床前明月光，疑是地上霜", usual=8)) == ["床前明月光", "，疑是地上霜"]


def test_a_long_text_is_the_sum_of_its_parts() -> None:
    text = " ".join([*TEXTS, " " * 3000, *TEXTS]) * 10
    assert len(text) > 2 * cutting.USUAL
    for name in EVERY:
        tokenizer = any_tokenizer(name)
        pieces = tokenizer.encode([text, "fox", text])
        assert int(pieces[0].bytes.sum()) == len(text.encode()), name
        assert pieces[0].tokens.tolist() == tokenizer._ids(text), name
        assert pieces[2].tokens.tolist() == pieces[0].tokens.tolist(), name
        assert pieces[1].tokens.tolist() == tokenizer._ids("fox"), name


def test_batches_are_bounded() -> None:
    texts = ["one two", "", "three", "four five six"]
    found = list(batches(texts, characters=8))
    assert found == [([0, 1, 2], ["one two", "", "three"]), ([3], ["four five six"])]


def test_a_text_without_a_place_to_cut_takes_little_memory() -> None:
    text = "x" * 20_000_000
    tracemalloc.start()
    longest = max(len(piece) for piece in cut(text))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert longest == cutting.MOST
    assert peak < 8_000_000
