"""A text as it is written: what is shown is what is kept, and ends where it must."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_writer import BPE, BYTES, CHARACTERS, UNIGRAM, WORDS

from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.inference.writing import Writing

TOKENIZERS = {"bytes": BYTES, "bpe": BPE, "characters": CHARACTERS, "words": WORDS}


def written(
    tokenizer: Tokenizer, tokens: list[int], stops: tuple[str, ...] = (), most: int = 1000
) -> tuple[Writing, list[str]]:
    """A writing after these tokens, or as many of them as it takes, and the pieces shown."""
    end = tokenizer.special("end")
    writing, shown = Writing(tokenizer.decoder(), stops, () if end is None else (end,), most), []
    for token in tokens:
        shown.append(writing.add(token))
        if writing.ending is not None:
            break
    return writing, shown


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
def test_what_is_shown_is_the_text_up_to_a_stop(name: str, data: st.DataObject) -> None:
    tokenizer = TOKENIZERS[name]
    numbers = st.integers(0, tokenizer.size - 1).filter(lambda n: n != tokenizer.special("end"))
    tokens = data.draw(st.lists(numbers, min_size=1, max_size=25))
    stops = tuple(data.draw(st.lists(st.text("a mf\ufffd前", min_size=1, max_size=3), max_size=2)))
    writing, shown = written(tokenizer, tokens, stops, len(tokens))
    assert "".join(shown) == writing.text
    whole = tokenizer.decode(writing.tokens)
    if writing.ending == "stop":
        places = [whole.find(stop) for stop in stops if stop in whole]
        assert writing.text == whole[: min(places)]
    else:
        assert writing.ending == "max_tokens"
        assert writing.text == whole == tokenizer.decode(tokens)
    assert not any(stop in writing.text for stop in stops)


def test_a_stop_is_held_back_until_it_is_none() -> None:
    tokens = BYTES.encode(["a\nUs\nUser: b"])[0].tokens.tolist()
    writing, shown = written(BYTES, tokens, ("\nUser:",))
    assert shown == ["a", "", "", "", "\nUs", *[""] * 5]
    assert (writing.text, writing.ending) == ("a\nUs", "stop")


def test_a_stop_held_back_at_the_end_is_text() -> None:
    for ending, tokens in (("end", [BYTES.special("end")]), ("max_tokens", [])):
        text = BYTES.encode(["so\nUs"])[0].tokens.tolist()
        most = 5 if ending == "max_tokens" else 9
        writing, shown = written(BYTES, [*text, *tokens], ("\nUser:",), most)
        assert (writing.text, writing.ending) == ("so\nUs", ending)
        assert "".join(shown) == writing.text


def test_the_first_of_several_stops_counts() -> None:
    tokens = WORDS.encode(["the fox met a dog"])[0].tokens.tolist()
    writing, _ = written(WORDS, tokens, ("met a", " fox"))
    assert writing.text == "the"


def test_half_a_character_is_never_shown() -> None:
    tokens = BYTES.encode(["床前"])[0].tokens.tolist()
    writing, shown = written(BYTES, tokens[:5], most=5)
    assert shown == ["", "", "床", "", "\ufffd"], "only the end of all makes half of one whole"
    assert writing.text == "床\ufffd"


def test_the_end_token_is_no_text() -> None:
    end = CHARACTERS.special("end")
    assert end is not None
    fox = CHARACTERS.encode(["fox"])[0].tokens.tolist()
    writing, _ = written(CHARACTERS, [*fox, end])
    assert (writing.text, writing.ending, writing.tokens) == ("fox", "end", fox)
    with pytest.raises(AssertionError, match="ended"):
        writing.add(fox[0])


def test_a_word_after_a_prompt_has_its_space() -> None:
    for tokenizer in (WORDS, UNIGRAM):
        prompt, more = (p.tokens.tolist() for p in tokenizer.encode(["the fox", "met"]))
        for before, text in ((prompt, " met"), ([], "met")):
            writing = Writing(tokenizer.decoder(after=before), (), (), len(more))
            assert "".join(map(writing.add, more)) == text
