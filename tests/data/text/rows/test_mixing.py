"""Mixtures: the shares of the weights, each row in its turn, a function of the row's number."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.mixing import JoinedRows, MixedRows, shares
from luthier.data.text.rows.row_layout import RowForm
from luthier.data.text.rows.rows import RowExamples
from luthier.data.text.rows.samples import PADDING
from luthier.data.text.rows.stream import TokenStream

NO_FRAME = Framing(None, None, each_segment=False)


def part(first_token: int, rows: int, *, width: int = 4, packing: bool = True) -> RowExamples:
    """Rows that begin with different tokens."""
    total = rows * width
    stream = TokenStream(
        tokens=np.arange(first_token, first_token + total, dtype=np.uint16),
        bytes=np.ones(total, dtype=np.uint16),
        words=None,
        starts=np.arange(0, total + 1, width),
    )
    form = RowForm(context=4, ahead=0, framing=NO_FRAME, packing=packing, vocab=9999)
    return RowExamples(stream, "train", form, seed=1, random=True)


def mixed(weights: tuple[float, ...] = (3, 1), seed: int = 1) -> MixedRows:
    return MixedRows([part(0, 30), part(1000, 50)], weights, "train", seed=seed)


def firsts(rows: MixedRows | JoinedRows, epoch: int) -> list[int]:
    tokens: list[int] = rows.read(np.arange(len(rows)), epoch).tokens_BS[:, 0].tolist()
    return tokens


def test_an_epoch_has_the_shares_of_the_weights_and_as_many_rows_as_the_parts() -> None:
    for epoch in range(3):
        found = firsts(mixed(), epoch)
        assert len(found) == 80
        assert sum(token < 1000 for token in found) == 60


def test_any_stretch_of_rows_has_about_the_same_shares() -> None:
    found = firsts(mixed(), 0)
    for start in range(0, 80, 8):
        assert 5 <= sum(token < 1000 for token in found[start : start + 8]) <= 7


def test_none_comes_again_before_all_have_come() -> None:
    rows = mixed()
    drawn = [token for epoch in range(7) for token in firsts(rows, epoch) if token < 1000]
    assert len(drawn) == 7 * 60
    for start in range(0, len(drawn), 30):
        assert len(set(drawn[start : start + 30])) == 30
    assert drawn[:30] != drawn[30:60], "each time in another order"
    rare = [token for epoch in range(5) for token in firsts(rows, epoch) if token >= 1000]
    assert Counter(Counter(rare).values()) == {2: 50}


@given(st.lists(st.integers(0, 79), min_size=1, max_size=9), st.integers(0, 9))
def test_a_row_depends_on_seed_epoch_and_number_alone(numbers: list[int], epoch: int) -> None:
    rows, ids = mixed(), np.array(numbers)
    whole = rows.read(np.arange(80), epoch)
    some = mixed().read(ids, epoch)
    assert torch.equal(some.tokens_BS, whole.tokens_BS[torch.from_numpy(ids)])
    assert some.ids.tolist() == numbers
    assert (some.seed, some.epoch) == (1, epoch)


def test_another_seed_draws_in_another_order() -> None:
    assert firsts(mixed(), 0) != firsts(mixed(seed=2), 0)


def test_plain_rows_are_all_rows_of_all_parts() -> None:
    plain = mixed().plain()
    assert firsts(plain, 3) == [*range(0, 120, 4), *range(1000, 1200, 4)]
    assert plain.part_of(np.array([0, 29, 30, 79])).tolist() == [0, 0, 1, 1]
    assert (plain.read(np.array([3]), 5).seed, plain.read(np.array([3]), 5).epoch) == (0, 0)
    assert plain.name(3) == "train[3]"
    assert len(plain.plain()) == 80
    assert plain.signal == mixed().signal
    assert plain.at_once == mixed().at_once == 2**14 // 4


def test_rows_of_different_lengths_are_filled_up() -> None:
    parts = [part(0, 2, packing=False), part(100, 2, width=2, packing=False)]
    samples = JoinedRows(parts, "validation").read(np.array([3, 0]), 0)
    assert samples.tokens_BS[:, :2].tolist() == [[102, 103], [0, 1]]
    assert samples.documents_BS is not None
    assert samples.documents_BS.tolist() == [[0, 0, PADDING, PADDING], [0, 0, 0, 0]]
    assert samples.bytes_BS.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    alike = JoinedRows(parts, "validation").read(np.array([1, 0]), 0)
    assert alike.documents_BS is None


@given(st.integers(0, 500), st.lists(st.floats(0.01, 100), min_size=1, max_size=5))
def test_shares_are_as_near_as_can_be(total: int, weights: list[float]) -> None:
    found = shares(total, weights)
    assert found.sum() == total
    exact = np.array(weights) / sum(weights) * total
    assert np.all(np.abs(found - exact) < 1)


def test_a_mixture_that_forgets_where_it_was_is_caught() -> None:
    class Forgetful(MixedRows):
        def read(self, ids, epoch):  # type: ignore[no-untyped-def]
            return super().read(ids, 0)

    rows = Forgetful([part(0, 30), part(1000, 50)], (3, 1), "train", seed=1)
    rare = [token for epoch in range(5) for token in firsts(rows, epoch) if token >= 1000]
    with pytest.raises(AssertionError):
        assert Counter(Counter(rare).values()) == {2: 50}
