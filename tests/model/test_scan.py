"""The scan against one position after the other."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from luthier.model import scan
from luthier.model.scan import linear_scan


def loop(decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
    state, states = torch.zeros_like(added_BTD[:, 0]), []
    for decay, added in zip(decay_BTD.unbind(1), added_BTD.unbind(1), strict=True):
        state = decay * state + added
        states.append(state)
    return torch.stack(states, 1)


def drawn(rows: int, time: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, time, width)
    decay = torch.rand(shape, dtype=torch.float64, generator=generator)
    decay[torch.rand(shape, generator=generator) < 0.1] = 0
    added = torch.randn(shape, dtype=torch.float64, generator=generator)
    return decay.requires_grad_(), added.requires_grad_()


def fault(time: int, seed: int = 0, rows: int = 2) -> float:
    """How far results and gradients are from those of the loop."""
    inputs = drawn(rows, time, 3, seed)
    ours, theirs = linear_scan(*inputs), loop(*inputs)
    slope = torch.randn(ours.shape, dtype=ours.dtype)
    pairs = zip(
        (ours, *torch.autograd.grad((ours * slope).sum(), inputs)),
        (theirs, *torch.autograd.grad((theirs * slope).sum(), inputs)),
        strict=True,
    )
    return max(float((one - other).detach().abs().max()) for one, other in pairs)


@settings(deadline=None, max_examples=60)
@given(time=st.integers(1, 140), seed=st.integers(0, 1000))
def test_it_is_the_loop(time: int, seed: int) -> None:
    assert fault(time, seed) < 1e-12


def test_wide_rows_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    right, times = scan._one_by_one, []

    def counted(decay_BTD: Tensor, added_BTD: Tensor) -> Tensor:
        times.append(decay_BTD.shape[1])
        return right(decay_BTD, added_BTD)

    monkeypatch.setattr(scan, "_one_by_one", counted)
    assert fault(17) < 1e-12
    assert set(times) == {4}
    monkeypatch.setattr(scan, "WIDE", 6)
    assert fault(17) < 1e-12
    assert times[-1] == 17


def test_a_decay_that_is_one_position_off_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = scan._scan
    monkeypatch.setattr(scan, "_scan", lambda decay, added: right(decay.roll(1, 1), added))
    assert fault(9) > 1e-3


def test_what_fades_becomes_zero_and_nothing_overflows() -> None:
    """As dividing by the product of all decays so far would."""
    decay = torch.full((1, 4096, 1), 1e-3).requires_grad_()
    added = torch.ones(1, 4096, 1).requires_grad_()
    h = linear_scan(decay, added)
    assert torch.isfinite(h).all()
    assert float(h[0, -1].detach()) == pytest.approx(1 / (1 - 1e-3))
    h.sum().backward()
    assert decay.grad is not None
    assert bool(torch.isfinite(decay.grad).all())
    assert not bool(torch.isfinite(added.detach().cumsum(1) / decay.detach().cumprod(1)).all())


def test_a_decay_of_zero_forgets() -> None:
    decay, added = (part.detach() for part in drawn(1, 20, 3))
    decay[:, 11] = 0
    torch.testing.assert_close(
        linear_scan(decay, added)[:, 11:], linear_scan(decay[:, 11:], added[:, 11:])
    )
