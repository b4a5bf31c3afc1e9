"""Text that is streamed is the text of the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers_to_try import EVERY, FEW, TEXT, any_tokenizer, trained


@pytest.mark.parametrize("name", EVERY)
@given(data=st.data(), specials=st.booleans())
@FEW
def test_any_tokens(name: str, data: st.DataObject, specials: bool) -> None:
    tokenizer = any_tokenizer(name)
    tokens = data.draw(st.lists(st.integers(0, tokenizer.size + 2), max_size=25))
    decoder = tokenizer.decoder(specials=specials)
    given_ = [decoder.push(token) for token in tokens]
    assert "".join(given_) + decoder.finish() == tokenizer.decode(tokens, specials=specials)


@pytest.mark.parametrize("name", EVERY)
@given(text=TEXT)
@FEW
def test_tokens_of_a_text_give_no_half_characters(name: str, text: str) -> None:
    tokenizer = any_tokenizer(name)
    tokens = tokenizer.encode([text])[0].tokens.tolist()
    whole = tokenizer.decode(tokens)
    decoder = tokenizer.decoder()
    shown = ""
    for token in tokens:
        shown += decoder.push(token)
        assert whole.startswith(shown)
    assert shown + decoder.finish() == whole


def test_text_comes_as_soon_as_it_is_sure() -> None:
    tokenizer = trained("bytes")
    decoder = tokenizer.decoder()
    tokens = tokenizer.encode(["a中b"])[0].tokens.tolist()
    assert [decoder.push(token) for token in tokens] == ["a", "", "", "中", "b"]
    words = trained("words")
    decoder = words.decoder()
    tokens = words.encode(["The dog, it's"])[0].tokens.tolist()
    assert [decoder.push(token) for token in tokens] == ["the", " dog", ",", " it's"]


def test_tokens_decoded_one_by_one_are_caught() -> None:
    for name, text in (("bytes", "中"), ("words", "the dog"), ("llama", "a 床")):
        tokenizer = any_tokenizer(name)
        tokens = tokenizer.encode([text])[0].tokens.tolist()
        naive = "".join(tokenizer.decode([token]) for token in tokens)
        assert naive != tokenizer.decode(tokens), name


@pytest.mark.parametrize("name", EVERY)
@given(before=TEXT, after=TEXT)
@FEW
def test_what_comes_after_other_tokens(name: str, before: str, after: str) -> None:
    tokenizer = any_tokenizer(name)
    known = tokenizer.encode([before])[0].tokens.tolist()
    new = tokenizer.encode([after])[0].tokens.tolist()
    decoder = tokenizer.decoder(after=known)
    written = "".join(map(decoder.push, new)) + decoder.finish()
    assert tokenizer.decode(known) + written == tokenizer.decode(known + new)


def test_a_word_after_others_keeps_its_space() -> None:
    unigram = trained("unigram")
    known, new = (pieces.tokens.tolist() for pieces in unigram.encode(["The quick", "fox"]))
    decoder = unigram.decoder(after=known)
    assert "".join(map(decoder.push, new)) == " fox"
    alone = unigram.decoder()
    assert "".join(map(alone.push, new)) == "fox"


def test_what_was_held_back_of_others_is_known() -> None:
    llama = any_tokenizer("llama")
    known = llama.encode(["a 床"])[0].tokens.tolist()
    new = llama.encode(["a"])[0].tokens.tolist()
    decoder, twin = llama.decoder(after=known), llama.decoder()
    for token in known:
        twin.push(token)
    assert "床" not in "".join(map(decoder.push, new))
    assert "床" in "".join(map(twin.push, new)), "nothing was held back"
