"""Weights in four bits: their code, their product, and adapters above them."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import inputs, moved, network
from torch import Tensor, nn

from luthier.adapters.attach import attach, merge, merged
from luthier.adapters.lora import LoraSpec
from luthier.adapters.moving import moves
from luthier.adapters.nf4 import BLOCK, CODE_BOOK, Nf4, linear
from luthier.errors import InputError


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def by_the_paper(weight: Tensor, exact_scales: Tensor | None = None) -> Tensor:
    """The nearest value of the code book for each weight, block by block, written as a loop."""
    flat, made = weight.flatten().tolist(), []
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK]
        largest = max(abs(value) for value in block)
        if exact_scales is not None:
            largest = float(exact_scales[start // BLOCK])
        for value in block:
            made.append(largest * min(CODE_BOOK, key=lambda one: abs(value / largest - one)))
    return torch.tensor(made).view(weight.shape)


def test_each_weight_becomes_the_nearest_value() -> None:
    weight = normal(40, 72)
    nf4 = Nf4(weight)
    torch.testing.assert_close(nf4.weight(), by_the_paper(weight, nf4._scales_K()))
    assert not torch.allclose(nf4.weight(), by_the_paper(weight, nf4._scales_K().flip(0)))


def test_scales_in_eight_bits_cost_little() -> None:
    weight = normal(256, 512)
    whole, both = by_the_paper(weight), Nf4(weight).weight()
    error, exact = (both - weight).square().mean().sqrt(), (whole - weight).square().mean().sqrt()
    assert error < 1.002 * exact
    # The paper's figure for the error of NF4 of normal weights is about a tenth of their spread.
    assert 0.08 < float(exact) < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (64, 64), (3, 4, 5), (300, 200)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    weight = normal(*shape)
    made = Nf4(weight).weight()
    assert made.shape == weight.shape
    assert (made - weight).abs().max() < 0.2 * weight.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_type_that_is_asked_for(dtype: torch.dtype) -> None:
    nf4 = Nf4(normal(16, 64))
    assert nf4.weight(dtype).dtype == dtype
    torch.testing.assert_close(nf4.weight(dtype).float(), nf4.weight(), rtol=1e-2, atol=1e-2)


def test_zeros_stay_zeros_and_outliers_do_not_spoil_other_blocks() -> None:
    assert not Nf4(torch.zeros(4, 64)).weight().any()
    weight = normal(512, 64)
    weight[3, 5] = 1000.0
    made = Nf4(weight).weight()
    assert abs(float(made[3, 5]) - 1000) < 10
    far = torch.arange(512) >= 256  # other blocks of the same group share the steps of its scales
    assert (made - weight)[far].square().mean().sqrt() < 0.11


@pytest.mark.parametrize("bias", [True, False])
def test_the_product_and_its_gradient(bias: bool) -> None:
    weight = normal(24, 48, dtype=torch.float64)
    nf4 = Nf4(weight)
    added = normal(24, dtype=torch.float64).requires_grad_() if bias else None
    x = normal(3, 5, 48, dtype=torch.float64).requires_grad_()
    y = linear(x, nf4, added)
    torch.testing.assert_close(y, nn.functional.linear(x, nf4.weight(), added))
    given = (x, added) if added is not None else (x,)
    ours = torch.autograd.grad(y.square().sum(), given)
    plain = nn.functional.linear(x, nf4.weight(), added).square().sum()
    theirs = torch.autograd.grad(plain, given)
    assert all(torch.allclose(one, other) for one, other in zip(ours, theirs, strict=True))


def test_no_whole_weight_is_kept_for_the_backward_pass() -> None:
    nf4 = Nf4(normal(256, 256))
    x = normal(2, 256).requires_grad_()
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        linear(x, nf4, None)
        assert max(kept, default=0) < 256 * 256
        nn.functional.linear(x, nf4.weight(), None)
    assert max(kept) == 256 * 256, "the proof sees a weight that is kept"


@pytest.mark.parametrize("kind", ["qlora", "dora"])
def test_merged_is_attached(kind: str) -> None:
    net = network("transformer", head={"bias": True})
    plain, x = copy.deepcopy(net), inputs(net)
    spec = LoraSpec(kind=kind, rank=2, bits=4, targets=("query", "up"))  # type: ignore[arg-type]
    attach(net, spec)
    first = net(x)
    assert 1e-3 < (first - plain(x)).abs().max() < 5
    moved(net)
    attached = net(x)
    found = merged(net)
    assert found.keys() == plain.state_dict().keys()
    merge(net)
    torch.testing.assert_close(net(x), attached, rtol=1e-6, atol=1e-6)
    assert net.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(found[name], weight) for name, weight in net.state_dict().items())
    assert all(type(a) is type(b) for a, b in zip(net.modules(), plain.modules(), strict=True))
    assert torch.equal(found["head.0.linear.weight"], plain.state_dict()["head.0.linear.weight"])
    query = "layers.1.copies.0.0.inner.key.weight"
    assert torch.equal(found[query], Nf4(plain.state_dict()[query]).weight())


def test_what_it_takes_is_told() -> None:
    net = network("transformer", head={"bias": True})
    whole = sum(weight.numel() for weight in net.parameters())
    attach(net, LoraSpec(kind="qlora", rank=2, targets=("query",)))
    found = moves(net)
    dense = 2 * (2 * 16 * 16 + 2 * 16 * 8 + 3 * 16 * 40)
    assert found.whole == whole
    assert found.in_four_bits == dense
    assert found.bytes["four_bits"] < 0.6 * dense + 14 * 70
    assert "weights in four bits take" in found.sentence()
    assert sum(weight.numel() for weight in net.parameters() if weight.requires_grad) == 2 * 2 * 32


def test_a_network_without_dense_layers_is_refused() -> None:
    with pytest.raises(InputError, match="has no dense layer to keep in four bits"):
        attach(network("gru"), LoraSpec(kind="qlora", rank=2, targets=("rnn",)))


def test_on_the_meta_device() -> None:
    net = network("transformer").to("meta")
    attach(net, LoraSpec(kind="qlora", rank=2))
    assert net(inputs(net).to("meta")).shape == (5, 9, 16)
