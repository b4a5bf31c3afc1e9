"""How many bytes each token stands for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers_to_try import trained

from luthier.data.text.tokens.pieces import (
    LARGEST,
    Part,
    byte_positions,
    joined,
    narrow,
    sizes_from_ends,
)

TEXT = st.text(st.sampled_from("a é中😀"), max_size=20)


@given(text=TEXT)
def test_where_characters_begin(text: str) -> None:
    expected = [len(text[:end].encode()) for end in range(len(text) + 1)]
    assert byte_positions(text).tolist() == expected


@given(text=TEXT, data=st.data())
def test_sizes_are_those_of_the_stretches(text: str, data: st.DataObject) -> None:
    ends = data.draw(st.lists(st.integers(0, len(text) + 2), max_size=8))
    sizes = sizes_from_ends(np.array(ends, dtype=np.int64), text).tolist()
    assert len(sizes) == len(ends)
    if not ends:
        return
    assert sum(sizes) == len(text.encode())
    reached = [min(max(ends[: index + 1]), len(text)) for index in range(len(ends))]
    reached = [len(text) if end == reached[-1] else end for end in reached]
    for end in sorted(set(reached)):
        before = max((other for other in reached if other < end), default=0)
        own = [size for size, other in zip(sizes, reached, strict=True) if other == end]
        assert sum(own) == len(text[before:end].encode())
        assert max(own) - min(own) <= 1


@given(sizes=st.lists(st.integers(0, 5) | st.integers(60_000, 200_000), min_size=1, max_size=12))
def test_no_byte_is_lost_where_there_is_room(sizes: list[int]) -> None:
    narrowed = narrow(np.array(sizes, dtype=np.int64))
    assert narrowed.dtype == np.uint16
    assert int(narrowed.sum()) == min(sum(sizes), LARGEST * len(sizes))
    if max(sizes) <= LARGEST:
        assert narrowed.tolist() == sizes


def test_sizes_that_wrap_around_are_caught() -> None:
    assert np.array([70_000]).astype(np.uint16).sum() == 4464
    assert narrow(np.array([0, 70_000])).sum() == 70_000


def part(sizes: list[int], size: int) -> Part:
    return Part(np.arange(len(sizes), dtype=np.int32), np.array(sizes, dtype=np.int64), size)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part([1, 2], 3)], [1, 2]),
        ([part([], 4)], []),
        ([part([], 4), part([], 2), part([1, 2], 3)], [7, 2]),
        ([part([1], 1), part([], 4), part([2], 2)], [1, 6]),
        ([part([1], 1), part([2, 3], 5), part([], 4)], [1, 2, 7]),
    ],
)
def test_parts_without_tokens(parts: list[Part], expected: list[int]) -> None:
    pieces = joined(parts)
    assert pieces.bytes.tolist() == expected
    assert len(pieces.tokens) == len(pieces.words) == len(expected)


def test_a_word_in_much_white_space() -> None:
    pieces = trained("words").encode([" " * 100_000 + "the fox"])[0]
    assert pieces.bytes.tolist() == [65_535, 34_472]
