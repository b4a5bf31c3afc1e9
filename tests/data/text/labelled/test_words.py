from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.text.labelled.words import Division, divided, division_of, words_in

DIVISIONS: tuple[Division, ...] = ("spaces", "ends", "signs", "characters")


@pytest.mark.parametrize(
    ("division", "words"),
    [
        ("spaces", ["(It's", "“fine”,", "3.5%", "…", ":-)"]),
        ("ends", ["(", "It's", "“", "fine", "”", ",", "3.5%", "…", ":-)"]),
        (
            "signs",
            ["(", "It", "'", "s", "“", "fine", "”", ",", "3", ".", "5", "%", "…", ":", "-", ")"],
        ),
        ("characters", list("(It's“fine”,3.5%…:-)")),
    ],
)
def test_divisions(division: Division, words: list[str]) -> None:
    assert divided("(It's “fine”, 3.5% … :-)", division) == words


def test_marks_stay_with_their_character() -> None:
    assert divided("हिन्दी é", "characters")[-1] == "é"
    assert divided("हिन्दी", "signs") == ["हिन्दी"]
    family = "👨‍👩‍👧"
    assert divided(f"a{family}b", "characters") == ["a", family, "b"]
    assert divided("床前明月光", "characters") == list("床前明月光")


@given(st.text(), st.sampled_from(DIVISIONS))
def test_words_hold_all_but_the_spaces_in_order(text: str, division: Division) -> None:
    places = words_in(text, division)
    assert all(start < end for start, end in places)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places))
    joined = "".join(text[start:end] for start, end in places)
    assert joined == "".join(text.split())
    assert not any(character.isspace() for character in joined)


@given(st.text(), st.sampled_from(DIVISIONS))
def test_a_word_is_one_word(text: str, division: Division) -> None:
    for word in divided(text, division):
        assert divided(word, division) == [word] or division == "ends"


@pytest.mark.parametrize(
    ("words", "division"),
    [
        (list("今天下午起来看到外面的太阳"), "characters"),
        (["It", "is", "a", "small", "world", ",", "is", "it", "not", "?"], "signs"),
        (["@ev", "'s", "#tag", "is", "out", ".", "http://t.co/x", "don't"] * 3, "ends"),
        (
            [
                "We",
                "went",
                "there.",
                "Then,",
                "we",
                "came",
                "(back).",
                "It",
                "was",
                "fine,",
                "was",
                "it?",
            ],
            "spaces",
        ),
    ],
)
def test_division_is_recognised(words: list[str], division: Division) -> None:
    assert division_of(words)[0] == division
