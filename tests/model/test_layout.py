"""Layouts: where documents lie, and taking them apart."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.model.layout import PADDING, Layout, Span

_ = PADDING
LENGTHS = (2, 3, 1)
PACKED = Layout.packed(LENGTHS)
RIGHT = Layout.padded(LENGTHS)
LEFT = Layout.padded(LENGTHS, "left")
ROWS = Layout.rows_of(((2, 3), (1,)), time=6)
ALL = {"packed": PACKED, "right": RIGHT, "left": LEFT, "rows": ROWS}


def test_where_documents_lie() -> None:
    assert PACKED.documents_BT.tolist() == [[0, 0, 1, 1, 1, 2]]
    assert RIGHT.documents_BT.tolist() == [[0, 0, _], [1, 1, 1], [2, _, _]]
    assert LEFT.documents_BT.tolist() == [[_, 0, 0], [1, 1, 1], [_, _, 2]]
    assert ROWS.documents_BT.tolist() == [[0, 0, 1, 1, 1, _], [2, _, _, _, _, _]]


def test_positions_begin_again_in_each_document() -> None:
    assert PACKED.positions_BT.tolist() == [[0, 1, 0, 1, 2, 0]]
    assert RIGHT.positions_BT.tolist() == [[0, 1, 0], [0, 1, 2], [0, 0, 0]]
    assert LEFT.positions_BT.tolist() == [[0, 0, 1], [0, 1, 2], [0, 0, 0]]
    assert ROWS.positions_BT.tolist() == [[0, 1, 0, 1, 2, 0], [0] * 6]


@pytest.mark.parametrize("name", ALL)
def test_what_is_said_of_documents(name: str) -> None:
    layout = ALL[name]
    assert (layout.documents, layout.lengths, layout.longest) == (3, LENGTHS, 3)
    assert layout.by_length == (1, 0, 2)
    assert layout.longest_first.lengths == (3, 2, 1)
    assert layout.one_a_row == (name == "right")
    assert not layout.full
    flat = layout.documents_BT.flatten()
    assert layout.present_S.tolist() == [n for n, number in enumerate(flat) if number != PADDING]
    assert layout.present_NL.sum(1).tolist() == list(LENGTHS)


def test_full_rows() -> None:
    assert Layout.padded((4, 4)).full
    assert Layout.rows_of(((4,), (4,)), time=4).full
    assert not Layout.rows_of(((4,), (4,)), time=5).full
    assert not Layout.rows_of(((2, 2), (4,)), time=4).full
    assert not Layout((Span(1, 0, 4), Span(0, 0, 4)), rows=2, time=4).full


def test_rows_that_are_too_short() -> None:
    with pytest.raises(AssertionError, match="row 1 holds 5 positions, more than 4"):
        Layout.rows_of(((4,), (3, 2)), time=4)


@given(
    st.lists(st.lists(st.integers(1, 7), max_size=4), min_size=1, max_size=4).filter(
        lambda rows: any(rows)
    ),
    st.integers(0, 2),
)
def test_apart_and_together(lengths: list[list[int]], more: int) -> None:
    layout = Layout.rows_of(lengths, max(map(sum, lengths)) + more)
    x_BTD = torch.arange(1.0, layout.rows * layout.time * 2 + 1).view(layout.rows, layout.time, 2)
    apart = layout.documents_apart(x_BTD)
    assert apart.shape == (layout.documents, layout.longest, 2)
    for row, span in zip(apart, layout.spans, strict=True):
        assert torch.equal(row[: span.length], x_BTD[span.row, span.start : span.stop])
        assert not row[span.length :].any()
    real = (layout.documents_BT != PADDING)[..., None]
    assert torch.equal(layout.together(apart), x_BTD * real)


def test_padding_at_the_left_taken_apart() -> None:
    x_BTD = torch.arange(1.0, 10).view(3, 3, 1)
    assert LEFT.documents_apart(x_BTD)[..., 0].tolist() == [[2, 3, 0], [4, 5, 6], [9, 0, 0]]
    assert LEFT.together(LEFT.documents_apart(x_BTD))[..., 0].tolist() == [
        [0, 2, 3],
        [4, 5, 6],
        [0, 0, 9],
    ]


def test_another_device() -> None:
    assert PACKED.to(torch.device("cpu")) is PACKED
    meta = PACKED.to(torch.device("meta"))
    assert meta.spans == PACKED.spans
    assert meta.positions_BT.device.type == "meta"
