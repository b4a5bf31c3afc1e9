from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.text.near_texts import LEAST_ALIKE, SHINGLE, near_pairs


def shingles(text: str) -> set[str]:
    return {text[n : n + SHINGLE] for n in range(len(text) - SHINGLE + 1)}


def sentences(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), size=5)) for _ in range(400)]
    return [" ".join(rng.choice(words, size=12)) for _ in range(count)]


def test_copies_with_small_changes_are_found_and_nothing_else() -> None:
    texts = sentences(400, seed=1)
    changed = {row: texts[row][:30] + "X" + texts[row][31:] for row in range(0, 400, 20)}
    found = near_pairs([*texts, *changed.values()])
    wanted = [[row, 400 + number] for number, row in enumerate(changed)]
    for pair in found.tolist():
        assert pair in wanted
    assert len(found) >= len(wanted) - 1  # hashes may miss one


@given(st.lists(st.text("abc", max_size=30), max_size=8))
def test_every_pair_is_as_alike_as_it_is_said_to_be(texts: list[str]) -> None:
    found = {tuple(pair) for pair in near_pairs(texts).tolist()}
    for a, b in found:
        one, other = shingles(texts[a]), shingles(texts[b])
        assert a < b
        assert len(one & other) >= LEAST_ALIKE * len(one | other)
    for a, text in enumerate(texts):
        for b in range(a + 1, len(texts)):
            if text == texts[b] and len(text) >= SHINGLE:
                assert (a, b) in found


def test_short_texts_and_none() -> None:
    assert near_pairs([]).shape == (0, 2)
    assert near_pairs(["ab", "ab"]).shape == (0, 2)
    assert near_pairs(["abcde", "ab", "abcde"]).tolist() == [[0, 2]]
