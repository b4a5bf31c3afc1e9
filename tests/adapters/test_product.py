"""The product of a layer with an adapter beside it: values, gradients, and what is kept."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from luthier.adapters.nf4 import Nf4
from luthier.adapters.product import adapted_product

SCALE = 0.7


def drawn(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("four_bits", [False, True])
def test_values_and_gradients(apart: bool, bias: bool, four_bits: bool) -> None:
    weight = drawn(6, 10)
    given: Tensor | Nf4 = Nf4(weight) if four_bits else weight
    whole = given.weight() if isinstance(given, Nf4) else weight
    x, read = drawn(2, 3, 10), drawn(2, 3, 10, seed=9)
    down, up = drawn(4, 10, seed=3), drawn(6, 4, seed=4)
    added = drawn(6, seed=5) if bias else None
    leaves = [x, down, up, *([read] if apart else []), *([added] if added is not None else [])]
    for leaf in leaves:
        leaf.requires_grad_()
    y = adapted_product(x, given, added, (down, up), SCALE, read if apart else None)
    plain = F.linear(x, whole, added) + SCALE * ((read if apart else x) @ down.T @ up.T)
    torch.testing.assert_close(y, plain)
    upstream = drawn(2, 3, 6, seed=7)
    ours = torch.autograd.grad(y, leaves, upstream)
    theirs = torch.autograd.grad(plain, leaves, upstream)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_it_runs_in_the_type_of_autocast() -> None:
    x, weight, down, up = (drawn(*shape).float() for shape in ((5, 8), (6, 8), (2, 8), (6, 2)))
    down.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = adapted_product(x, weight, None, (down, up), SCALE)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(
        y.float(), (F.linear(x, weight) + SCALE * x @ down.T @ up.T), rtol=0.05, atol=0.1
    )
    (gradient,) = torch.autograd.grad(y.float().sum(), down)
    assert gradient.dtype == torch.float32


def test_kept_for_the_backward_pass_are_the_input_and_the_thin_product() -> None:
    x = drawn(64, 8).requires_grad_()
    weight, down, up = drawn(32, 8), drawn(2, 8).requires_grad_(), drawn(32, 2).requires_grad_()
    kept: list[tuple[int, ...]] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        adapted_product(x, weight, None, (down, up), SCALE)
    assert sorted(kept) == sorted([(64, 8), (64, 2), (2, 8), (32, 2), (32, 8)])
