"""Documents in groups, and rows in another order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from luthier.model.groups import CALL_CELLS, Groups
from luthier.model.layout import PADDING, Layout
from luthier.model.reorder import reordered

ROWS_OF_LENGTHS = st.lists(st.lists(st.integers(1, 250), min_size=1, max_size=4), min_size=1)


def of(lengths: Sequence[int], before: int = 0) -> Groups:
    """The groups of documents that lie one behind the other, with padding before each."""
    starts, start = [], 0
    for length in lengths:
        starts.append(start + before)
        start += before + length
    return Groups(starts, lengths, start, torch.device("cpu"))


@given(ROWS_OF_LENGTHS, st.integers(0, 3))
def test_apart_and_together(lengths: list[list[int]], padding: int) -> None:
    layout = Layout.rows_of(lengths, max(map(sum, lengths)) + padding)
    groups, total = layout.groups, layout.rows * layout.time
    x_S = torch.arange(1, total + 1.0, dtype=torch.float64)
    parts = list(groups.apart(x_S))
    assert sorted(n for group in groups.groups for n in group.documents) == list(
        range(layout.documents)
    )
    for group, part in zip(groups.groups, parts, strict=True):
        assert part.shape == (len(group.documents), group.longest)
        for row, number in zip(part, group.documents, strict=True):
            span = layout.spans[number]
            own = x_S[span.row * layout.time + span.start :][: span.length]
            assert torch.equal(row[: span.length], own)
    real = (layout.documents_BT != PADDING).flatten()
    assert torch.equal(groups.together(parts), x_S * real)


@given(ROWS_OF_LENGTHS)
def test_groups_waste_less_than_one_more_costs(lengths: list[list[int]]) -> None:
    layout = Layout.rows_of(lengths, max(map(sum, lengths)))
    groups = layout.groups.groups
    for group in groups:
        own = [layout.lengths[number] for number in group.documents]
        assert group.longest == max(own)
        assert sum(group.longest**2 - length**2 for length in own) <= CALL_CELLS
        assert (group.absent_NL is None) == (len(set(own)) == 1)
        if group.absent_NL is not None:
            assert (~group.absent_NL).sum(1).tolist() == own


def test_which_documents_go_together() -> None:
    assert [group.documents for group in of([20, 200, 19, 199, 20]).groups] == [(1, 3), (0, 4, 2)]
    assert [group.longest for group in of([60] * 100).groups] == [60]
    assert len(of([20, 160]).groups) == 2


def outer(x: Tensor, groups: Groups) -> Tensor:
    """Something that mixes what is in a group's row, and reads no padding."""
    parts = []
    for group, part in zip(groups.groups, groups.apart(x), strict=True):
        absent = group.absent_NL
        shown = part if absent is None else part.masked_fill(absent, 0)
        parts.append(part * shown.sum(1, keepdim=True))
    return groups.together(parts)


def test_gradients() -> None:
    groups = of([3, 1, 4, 30, 2], before=1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(45, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: outer(x, groups), x)
    assert torch.autograd.gradgradcheck(lambda x: outer(x, groups), x)


def test_rows_that_are_taken_back_to_another_place_are_caught() -> None:
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    forth, back = torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])
    assert torch.equal(reordered(x, forth, back), x[forth])
    assert torch.autograd.gradcheck(lambda x: reordered(x, forth, back), x)
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(lambda x: reordered(x, forth, forth), x)


def test_rows_that_are_left_out() -> None:
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    forth, back = torch.tensor([2, 0, 0]), torch.tensor([1, 0, 0])
    kept_forth, kept_back = torch.tensor([True, True, False]), torch.tensor([True, False, True])
    y = reordered(x, forth, back, kept_forth, kept_back)
    assert torch.equal(y, torch.stack([x[2], x[0], torch.zeros(2)]))
    assert torch.autograd.gradcheck(lambda x: reordered(x, forth, back, kept_forth, kept_back), x)
