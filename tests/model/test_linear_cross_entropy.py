"""The sliced loss against torch's own: values, gradients, smoothing, caps, half precision."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from luthier.model import linear_cross_entropy as module
from luthier.model.linear_cross_entropy import (
    Scoring,
    cross_entropy,
    linear_cross_entropy,
    linear_nats,
)

N, V, D = 37, 11, 5


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five slices of three pieces, the last ones short."""
    monkeypatch.setattr(module, "SLICE_ELEMENTS", 8 * V)
    monkeypatch.setattr(module, "PIECE_ELEMENTS", 3 * V)
    monkeypatch.setattr(module, "LEAST_POSITIONS", 1)


def inputs(bias: bool = True) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    generator = torch.Generator().manual_seed(4)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()

    targets = torch.randint(V, (N,), generator=generator)
    return drawn(N, D), drawn(V, D), drawn(V) if bias else None, targets


def plain(
    x: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, scoring: Scoring
) -> tuple[Tensor, Tensor]:
    """All scores at once, by torch's operations and autograd."""
    scores = F.linear(x, weight, bias)
    if scoring.softcap is not None:
        scores = scoring.softcap * torch.tanh(scores / scoring.softcap)
    z = scoring.z_loss * scores.logsumexp(1).square().sum()
    nats = F.cross_entropy(
        scores, targets, reduction="sum", label_smoothing=scoring.label_smoothing
    )
    return nats + z, z


def farthest(left: tuple[Tensor, ...], right: tuple[Tensor, ...]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(left, right, strict=True))


def distance(scoring: Scoring, bias: bool = True, theirs: Scoring | None = None) -> float:
    """Between the two, over losses and gradients."""
    x, weight, b, targets = inputs(bias)
    leaves = tuple(leaf for leaf in (x, weight, b) if leaf is not None)
    ours = linear_cross_entropy(x, weight, b, targets, scoring)
    expected = plain(x, weight, b, targets, theirs or scoring)
    grads = torch.autograd.grad(0.37 * ours[0], leaves)
    wanted = torch.autograd.grad(0.37 * expected[0], leaves)
    return max(farthest(ours, expected), farthest(grads, wanted))


SETTINGS = [
    Scoring(softcap=cap, label_smoothing=smoothing, z_loss=z)
    for cap, smoothing, z in itertools.product((None, 2.0), (0.0, 0.1), (0.0, 0.01))
]


@pytest.mark.parametrize("scoring", SETTINGS, ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_the_loss_and_its_gradients(scoring: Scoring, bias: bool) -> None:
    assert distance(scoring, bias) < 1e-11


@pytest.mark.parametrize(
    "other",
    [Scoring(softcap=2.1), Scoring(softcap=2.0, label_smoothing=0.01), Scoring()],
    ids=str,
)
def test_the_proof_catches_another_loss(other: Scoring) -> None:
    assert distance(Scoring(softcap=2.0), theirs=other) > 1e-3


def test_a_slice_that_is_forgotten_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = module._slices
    monkeypatch.setattr(module, "_slices", lambda *given: itertools.islice(whole(*given), 4))
    x, weight, b, targets = inputs()
    ours = linear_cross_entropy(x, weight, b, targets, Scoring())
    assert farthest(ours, plain(x, weight, b, targets, Scoring())) > 1e-3


@pytest.mark.parametrize("scoring", SETTINGS, ids=str)
def test_from_scores_it_is_the_same(scoring: Scoring) -> None:
    x, weight, b, targets = inputs()
    ours = cross_entropy(module.capped(F.linear(x, weight, b), scoring.softcap), targets, scoring)
    assert farthest(ours, plain(x, weight, b, targets, scoring)) < 1e-11


def test_no_gradient_where_none_is_wanted() -> None:
    x, weight, b, targets = inputs()
    weight.requires_grad_(False)
    loss, z = linear_cross_entropy(x, weight, b, targets, Scoring(z_loss=0.1))
    assert not z.requires_grad
    loss.backward()
    assert x.grad is not None
    assert weight.grad is None
    with torch.no_grad():
        assert not linear_cross_entropy(x, weight, b, targets, Scoring())[0].requires_grad


def test_no_targets_cost_nothing() -> None:
    x, weight, b, targets = inputs()
    loss, _ = linear_cross_entropy(x[:0], weight, b, targets[:0], Scoring())
    loss.backward()
    assert loss == 0
    assert weight.grad is not None
    assert not weight.grad.any()


@pytest.mark.parametrize("cap", [None, 2.0])
def test_nats(cap: float | None) -> None:
    x, weight, b, targets = inputs()
    nats, right = linear_nats(x, weight, b, targets, cap)
    scores = module.capped(F.linear(x, weight, b), cap)
    expected = F.cross_entropy(scores, targets, reduction="none")
    torch.testing.assert_close(nats, expected.detach(), rtol=1e-13, atol=0)
    assert torch.equal(right, scores.argmax(1) == targets)


def test_half_precision_is_near_and_summed_in_float32() -> None:
    x, weight, b, targets = inputs()
    leaves = [leaf.detach().float().requires_grad_() for leaf in (x, weight, b) if leaf is not None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = linear_cross_entropy(*leaves, targets, Scoring())
    assert loss.dtype == torch.float32
    grads = torch.autograd.grad(loss, leaves)
    assert all(grad.dtype == torch.float32 for grad in grads)
    wanted = torch.autograd.grad(plain(x, weight, b, targets, Scoring())[0], (x, weight, b))
    for grad, expected in zip(grads, wanted, strict=True):
        assert float((grad - expected).norm() / expected.norm()) < 0.02
