from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.text.labelled.tagging import (
    Written,
    broken,
    brought,
    entities_in,
    in_order,
    scheme_of,
    written_in,
)

Entities = list[tuple[str, int, int]]


@st.composite
def entities(draw: st.DrawFn) -> tuple[int, Entities]:
    """A number of words, and entities in them, in order."""
    found: Entities = []
    place = 0
    for _ in range(draw(st.integers(1, 6))):
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 4))
        found.append((draw(st.sampled_from(["name", "place-of", "x"])), start, place))
    return place + draw(st.integers(0, 2)), found


def write(words: int, found: Entities, written: Written) -> list[str]:
    """The tags, written down independently of what reads them."""
    begin, inside, end, single = {
        "BIO": "BIIB",
        "IOB1": "IIII",
        "BIOES": "BIES",
        "BILOU": "BILU",
        "BMES": "BMES",
    }[written]
    tags = ["O"] * words
    last = ("", 0)
    for kind, start, stop in found:
        letters = [begin, *[inside] * (stop - start - 2), end]
        letters = [single] if stop - start == 1 else letters
        if written == "IOB1" and last == (kind, start):
            letters[0] = "B"
        tags[start:stop] = [f"{letter}-{kind}" for letter in letters]
        last = (kind, stop)
    return tags


@given(entities(), st.sampled_from(["BIO", "IOB1", "BIOES", "BILOU", "BMES"]))
def test_every_way_of_writing_gives_the_same_entities(
    case: tuple[int, Entities], written: Written
) -> None:
    words, found = case
    tags = write(words, found, written)
    scheme = scheme_of(written)
    made = brought(tags, written)
    assert made == write(words, found, scheme)  # type: ignore[arg-type]
    assert entities_in(made, scheme) == found
    assert broken(made, scheme) == 0


@pytest.mark.parametrize("written", ["BIO", "IOB1", "BIOES", "BILOU", "BMES"])
def test_the_way_of_writing_is_recognised(written: Written) -> None:
    found = [("a", 0, 3), ("a", 3, 5), ("b", 5, 6), ("a", 7, 8), ("b", 8, 10)]
    assert written_in([write(11, found, written)]) == written


def test_what_is_no_entity_is_plain() -> None:
    assert written_in([["DET", "NOUN"], ["O"]]) == "plain"
    assert written_in([["B-a", "X-a"]]) == "plain"
    assert entities_in(["DET", "NOUN"], "plain") == []
    assert in_order(["NOUN", "DET"], "plain") == ("DET", "NOUN")
    assert written_in([["O", "O"]]) == "BIO"


def test_bio_with_a_slip_is_no_iob1() -> None:
    assert written_in([["B-a", "I-a", "O"], ["O", "I-a"]]) == "BIO"


@pytest.mark.parametrize(
    ("tags", "scheme", "count"),
    [
        ("B-a I-a O", "BIO", 0),
        ("I-a I-a O", "BIO", 1),
        ("B-a I-b I-b", "BIO", 1),
        ("O I-a B-a O I-a", "BIO", 2),
        ("S-a B-a E-a", "BIOES", 0),
        ("B-a I-a", "BIOES", 1),
        ("B-a O E-a", "BIOES", 2),
        ("S-a I-a", "BIOES", 2),
    ],
)
def test_tags_that_cannot_follow_each_other(tags: str, scheme: str, count: int) -> None:
    assert broken(tags.split(), scheme) == count  # type: ignore[arg-type]
