"""Dropout with quick random bits: how many are kept, which ones, and the mean."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from luthier.model.dropped import Dropout, dropped, kept

SHAPE = torch.Size((300, 1001))


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        yield


@pytest.mark.parametrize("rate", [0.0001, 0.1, 0.5, 0.9, 0.99999])
def test_as_many_are_left_out_as_were_asked_for(rate: float) -> None:
    share = 1 - float(kept(SHAPE, rate, torch.float32).mean())
    assert abs(share - rate) < 5 * (rate * (1 - rate) / SHAPE.numel()) ** 0.5 + 2**-16


def test_each_row_and_column_loses_its_share() -> None:
    ones = kept(SHAPE, 0.5, torch.float64)
    for dim, size in enumerate(reversed(SHAPE)):
        assert ((ones.mean(1 - dim) - 0.5).abs() < 6 * 0.5 / size**0.5).all()
    centred = ones.flatten() - 0.5
    for shift in (1, 2, 4, 1001):
        assert abs(float((centred[shift:] * centred[:-shift]).mean())) < 6 * 0.25 / 300_000**0.5


def test_torchs_seed_decides_and_each_draw_is_another() -> None:
    first, second = (kept(SHAPE, 0.5, torch.bfloat16) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(kept(SHAPE, 0.5, torch.bfloat16), first)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_what_is_kept_is_raised_and_so_is_its_gradient(dtype: torch.dtype) -> None:
    x = torch.ones(SHAPE, dtype=dtype, requires_grad=True)
    y = dropped(x, 0.25)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    raised = torch.tensor(4 / 3, dtype=dtype)
    assert set(y.unique().tolist()) == {0.0, float(raised)}
    assert torch.equal(gradient, y)
    assert y.dtype == dtype


def test_nothing_is_left_out_in_evaluation_or_at_rate_zero() -> None:
    x = torch.ones(4)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5)(torch.ones(SHAPE)).min() == 0
    assert dropped(torch.ones(3, device="meta"), 0.5).is_meta
