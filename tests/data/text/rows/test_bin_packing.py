from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.text.rows.bin_packing import FILLED_UP_TO, Numbers, best_fit, fullest, row_of_each

CAPACITY = 41
LENGTHS = st.lists(st.integers(1, CAPACITY), max_size=60)
POEM_LENGTHS = (29, 35, 53, 69, 101)
POEM_COUNTS = (90, 160, 300, 240, 30)
"""About as Tang poems are distributed, with the tokens around them."""


def bins_one_by_one(lengths: list[int], capacity: int) -> int:
    """Rows that best-fit decreasing opens, in the plainest words."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= length]
        if fitting:
            rooms.remove(min(fitting))
            rooms.append(min(fitting) - length)
        else:
            rooms.append(capacity - length)
    return len(rooms)


def sums(lengths: list[int], rows: Numbers) -> Numbers:
    return np.bincount(rows, lengths).astype(np.int64)


def fullest_one_by_one(lengths: list[int], capacity: int) -> list[int]:
    """How full each row is, if every choice of others is tried."""
    left, found = sorted(lengths), []
    while left:
        longest = left.pop()
        reached: dict[int, list[int]] = {0: []}
        for length in reversed(left):
            for total, items in list(reached.items()):
                if longest + total + length <= capacity:
                    reached.setdefault(total + length, [*items, length])
        for length in reached[max(reached)]:
            left.remove(length)
        found.append(longest + max(reached))
    return found


@pytest.mark.parametrize("pack", [fullest, best_fit])
@given(lengths=LENGTHS)
def test_each_item_is_in_a_row_and_no_row_is_too_full(
    pack: Callable[[Numbers, int], Numbers], lengths: list[int]
) -> None:
    rows = pack(np.array(lengths, dtype=np.int64), CAPACITY)
    assert len(rows) == len(lengths)
    found = sums(lengths, rows)
    assert np.all(found <= CAPACITY)
    assert np.all(found > 0)


@given(LENGTHS)
def test_best_fit_opens_as_many_rows_as_placing_one_by_one(lengths: list[int]) -> None:
    rows = best_fit(np.array(lengths, dtype=np.int64), CAPACITY)
    assert len(set(rows.tolist())) == bins_one_by_one(lengths, CAPACITY)


@given(st.lists(st.integers(1, 12), max_size=14))
def test_the_first_row_is_as_full_as_can_be(lengths: list[int]) -> None:
    rows = fullest(np.array(lengths, dtype=np.int64), 12)
    found = sums(lengths, rows)
    if lengths:
        assert found[0] == fullest_one_by_one(lengths, 12)[0]


def test_fixed_forms_are_packed_better_than_by_best_fit() -> None:
    lengths = np.repeat(POEM_LENGTHS, POEM_COUNTS)
    np.random.default_rng(0).shuffle(lengths)
    fewest = [len(set(pack(lengths, 129).tolist())) for pack in (fullest, best_fit)]
    assert fewest[0] < fewest[1]


def test_ordinary_lengths_fill_the_rows() -> None:
    lengths = np.random.default_rng(0).lognormal(4, 0.8, 5000).astype(np.int64).clip(1, 257)
    assert lengths.sum() / (257 * len(set(row_of_each(lengths, 257).tolist()))) > 0.995


def test_very_long_rows_are_packed_fast() -> None:
    capacity = 16 * FILLED_UP_TO
    lengths = np.random.default_rng(0).integers(1, capacity, 20_000)
    rows = row_of_each(lengths, capacity)
    assert np.array_equal(rows, best_fit(lengths, capacity))
    assert sums(lengths.tolist(), rows).mean() / capacity > 0.97


def test_an_item_that_fits_no_row() -> None:
    with pytest.raises(AssertionError, match="fits no row"):
        row_of_each(np.array([9]), 8)
