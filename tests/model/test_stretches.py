"""Stretches: every position is read, by the rows that are there."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.model.stretches import as_rows_begin, as_rows_end

lengths_of = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@settings(deadline=None)
@given(lengths=lengths_of, call=st.sampled_from([0, 50, 200, 10**6]))
def test_rows_that_end(lengths: list[int], call: int) -> None:
    lengths = sorted(lengths, reverse=True)
    stretches = as_rows_end(lengths, call)
    assert stretches[0].start == 0
    assert stretches[-1].stop == lengths[0]
    for one, other in itertools.pairwise(stretches):
        assert one.stop == other.start
        assert one.rows > other.rows
    for start, _, rows in stretches:
        assert rows == sum(length > start for length in lengths)
    read = sum((stop - start) * rows for start, stop, rows in stretches)
    if call == 0:
        assert read == sum(lengths)
    assert read + call * (len(stretches) - 1) <= lengths[0] * len(lengths)


@settings(deadline=None)
@given(begins=st.lists(st.integers(0, 30), min_size=1, max_size=12), stop=st.integers(1, 30))
def test_rows_that_begin(begins: list[int], stop: int) -> None:
    begins = sorted(begins)
    read = [[0] * stop for _ in begins]
    for start, end, rows in as_rows_begin(begins, stop):
        for row in range(rows):
            for t in range(start, end):
                read[row][t] += 1
    for row, begin in enumerate(begins):
        assert read[row] == [int(t >= begin) for t in range(stop)]


def test_equal_rows_are_read_at_once() -> None:
    assert as_rows_end([9] * 64) == [(0, 9, 64)]
    assert as_rows_begin([0, 0], 5) == [(0, 5, 2)]
