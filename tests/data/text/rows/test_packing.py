from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import luthier.data.text.rows.packing as packing_module
from luthier.data.text.rows.bin_packing import Numbers
from luthier.data.text.rows.packing import Cut, Rows, Segments, one_a_row, packed

LENGTHS = st.lists(st.integers(1, 40), max_size=60)


def segments_of(lengths: list[int], payload: int = 40, ahead: int = 0) -> Segments:
    sizes = np.array(lengths, dtype=np.int64)
    return Segments.of(np.cumsum(sizes) - sizes, sizes, Cut(payload, ahead))


def contents(rows: Rows) -> list[list[int]]:
    """The lengths in each row."""
    return [
        rows.segments.lengths[first:last].tolist()
        for first, last in zip(rows.firsts[:-1], rows.firsts[1:], strict=True)
    ]


def targets(lengths: Numbers, cut: Cut) -> list[int]:
    """Places that some segment has as a target, as often as one does."""
    found = Segments.of(np.cumsum(lengths) - lengths, lengths, cut)
    return sorted(
        place
        for start, length in zip(found.starts.tolist(), found.lengths.tolist(), strict=True)
        for place in range(start + cut.ahead, start + length)
    )


@given(LENGTHS, st.integers(0, 1), st.integers(2, 12))
def test_each_token_is_a_target_once(lengths: list[int], ahead: int, payload: int) -> None:
    sizes = np.array(lengths, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    wanted = [
        place
        for start, size in zip(starts.tolist(), lengths, strict=True)
        for place in range(start + ahead, start + size)
    ]
    assert targets(sizes, Cut(payload, ahead)) == wanted


def test_pieces_that_do_not_overlap_lose_targets() -> None:
    class Apart(Cut):
        @property
        def step(self) -> int:
            return self.payload

    assert targets(np.array([9]), Cut(4, 1)) == list(range(1, 9))
    assert targets(np.array([9]), Apart(4, 1)) != list(range(1, 9))


@given(LENGTHS, st.integers(0, 2))
def test_each_segment_is_in_one_row_that_it_fits(lengths: list[int], framing: int) -> None:
    segments = segments_of(lengths)
    rows = packed(segments, capacity=42, framing=framing)
    assert sorted(rows.segments.starts.tolist()) == segments.starts.tolist()
    assert all(sum(row) + framing * len(row) <= 42 for row in contents(rows))
    assert all(row for row in contents(rows))
    assert rows.filled(framing).tolist() == [
        sum(row) + framing * len(row) for row in contents(rows)
    ]


@given(LENGTHS)
def test_rows_come_in_the_order_of_the_documents(lengths: list[int]) -> None:
    rows = packed(segments_of(lengths), capacity=41)
    firsts = rows.segments.starts[rows.firsts[:-1]].tolist()
    assert firsts == sorted(firsts)
    for first, last in zip(rows.firsts[:-1], rows.firsts[1:], strict=True):
        own = rows.segments.starts[first:last].tolist()
        assert own == sorted(own)


def test_ordinary_lengths_fill_the_rows() -> None:
    lengths = np.random.default_rng(0).lognormal(4, 0.8, 5000).astype(np.int64).clip(1, 3000)
    rows = packed(segments_of(lengths.tolist(), payload=257, ahead=1), capacity=257)
    assert rows.filled(0).sum() / (257 * len(rows)) > 0.99
    alone = one_a_row(segments_of(lengths.tolist(), payload=257, ahead=1))
    assert alone.filled(0).sum() / (257 * len(alone)) < 0.5


def test_blocks_are_packed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = np.random.default_rng(1).integers(1, 30, 100).tolist()
    whole = packed(segments_of(lengths), capacity=40)
    monkeypatch.setattr(packing_module, "BLOCK_SEGMENTS", 25)
    parts = packed(segments_of(lengths), capacity=40)
    assert len(whole) <= len(parts) <= len(whole) + 4
    assert sorted(parts.segments.starts.tolist()) == segments_of(lengths).starts.tolist()
    bounds = segments_of(lengths).starts[[0, 25, 50, 75]].tolist()
    for first, last in zip(parts.firsts[:-1], parts.firsts[1:], strict=True):
        blocks = {np.searchsorted(bounds, s, "right") for s in parts.segments.starts[first:last]}
        assert len(blocks) == 1


def test_nothing_to_pack() -> None:
    rows = packed(segments_of([]), capacity=8)
    assert len(rows) == 0
    assert rows.filled(0).tolist() == []
