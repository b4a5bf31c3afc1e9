from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.order import cuts, epoch_order


@given(rows=st.integers(1, 500), size=st.integers(1, 64))
def test_cuts_have_each_row_once_and_no_lone_one(rows: int, size: int) -> None:
    pieces = cuts(rows, size)
    assert [row for start, stop in pieces for row in range(start, stop)] == list(range(rows))
    lengths = [stop - start for start, stop in pieces]
    assert all(length == size for length in lengths[:-1])
    assert lengths[-1] <= size + 1
    if size > 1 and rows > 1:
        assert lengths[-1] > 1


def test_one_row_is_one_batch() -> None:
    assert cuts(1, 8) == ((0, 1),)
    assert cuts(3, 1) == ((0, 1), (1, 2), (2, 3))


def test_epochs_have_orders_of_their_own() -> None:
    first, second = (epoch_order(50, seed=1, epoch=epoch, shuffle=True) for epoch in (0, 1))
    assert (first != second).any()
    assert (first == epoch_order(50, seed=1, epoch=0, shuffle=True)).all()
    assert (first != epoch_order(50, seed=2, epoch=0, shuffle=True)).any()
    assert (epoch_order(5, seed=1, epoch=3, shuffle=False) == np.arange(5)).all()
