"""RMS norm by a kernel of the layer norm, against torch's own, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from luthier.model import rms_norm
from luthier.model.rms_norm import RmsNorm

EPSILON = 1e-3


def drawn(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()


def farthest(*shape: int) -> float:
    """From torch's own, over values and gradients."""
    x, gradient = drawn(*shape, seed=1), drawn(*shape, seed=3).detach()
    norm = RmsNorm(shape[-1], eps=EPSILON, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(drawn(shape[-1], seed=2))
    leaves = (x, norm.weight)
    ours, theirs = norm(x), F.rms_norm(x, shape[-1:], norm.weight, EPSILON)
    found = (ours, *torch.autograd.grad(ours, leaves, gradient))
    wanted = (theirs, *torch.autograd.grad(theirs, leaves, gradient))
    return max(float((a - b).detach().abs().max()) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("shape", [(3, 7, 16), (5, 9), (2, 3, 4, 5), (0, 4)], ids=str)
def test_values_and_gradients_are_those_of_torch(shape: tuple[int, ...]) -> None:
    if shape[0]:
        assert farthest(*shape) < 1e-13
    else:
        assert RmsNorm(4)(torch.zeros(shape, requires_grad=True)).shape == shape


def test_the_gradient_of_a_layer_norm_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rms_norm._RmsNorm.backward

    def without_the_mean(ctx: object, dy: Tensor) -> tuple[Tensor | None, ...]:
        dx, *others = whole(ctx, dy)
        assert dx is not None
        return (dx - dx.mean(-1, keepdim=True), *others)

    monkeypatch.setattr(rms_norm._RmsNorm, "backward", staticmethod(without_the_mean))
    assert farthest(3, 7, 16) > 1e-2


def test_what_the_kernel_would_round_is_left_to_torch() -> None:
    norm, x = RmsNorm(8, eps=EPSILON), torch.randn(3, 8, requires_grad=True)
    assert "_RmsNorm" in str(norm(x).grad_fn)
    with torch.no_grad():
        assert norm(x).grad_fn is None
    assert "_RmsNorm" not in str(norm.bfloat16()(x.bfloat16()).grad_fn)
