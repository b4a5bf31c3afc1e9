"""Mixtures of experts, against every expert at every position; the loss of the balance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from luthier.errors import SpecError
from luthier.model.blocks.moe import LOAD_BALANCE, Moe, MoeSpec
from luthier.model.blueprint import LayersSpec, build
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.planner.count import count
from luthier.signal import Signal
from luthier.spec import parse

WIDTH = 6
BALANCE = 0.5


def drawn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def moe(**settings: Any) -> Moe:
    data = {"kind": "moe", "experts": 5, "balance": BALANCE, **settings}
    module = Moe(parse(MoeSpec, data), WIDTH).double()
    for number, parameter in enumerate(module.parameters()):
        parameter.data = drawn(*parameter.shape, seed=100 + number)
    return module


def shares_of(module: Moe, x_BTD: Tensor) -> Tensor:
    return (x_BTD @ module.router.weight.T).softmax(-1)


def plain(module: Moe, x_BTD: Tensor) -> Tensor:
    """Every expert at every position, times a share that is zero for most."""
    shares = shares_of(module, x_BTD)
    least = shares.topk(module.active).values[..., -1:]
    gates = torch.where(shares >= least, shares, 0)
    if module.normalised:
        gates = gates / gates.sum(-1, keepdim=True)
    y = sum(gates[..., n, None] * expert(x_BTD) for n, expert in enumerate(module.experts))
    assert isinstance(y, Tensor)
    return y if module.shared is None else y + module.shared(x_BTD)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"active": 3, "normalised": False, "gated": True},
        {"active": 1, "normalised": False, "bias": True},
        {"active": 5},
        {"shared": 2, "width": 7, "activation": "relu"},
    ],
)
def test_it_is_the_plain_one(settings: dict[str, Any]) -> None:
    module, x = moe(**settings), drawn(2, 7, WIDTH).requires_grad_()
    y, want = module(x), plain(module, x)
    torch.testing.assert_close(y, want, rtol=1e-12, atol=1e-12)
    tensors = [x, *module.parameters()]
    for got, other in zip(
        torch.autograd.grad(y.cos().sum(), tensors),
        torch.autograd.grad(want.cos().sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(got, other, rtol=1e-10, atol=1e-10)


def test_outputs_at_other_positions_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order that sorts by expert, taken instead of its inverse."""
    real = torch.Tensor.scatter_

    def sorted_twice(self: Tensor, dim: int, index: Tensor, source: Any) -> Tensor:
        return index if isinstance(source, Tensor) else real(self, dim, index, source)

    module, x = moe(), drawn(2, 7, WIDTH)
    monkeypatch.setattr(torch.Tensor, "scatter_", sorted_twice)
    assert not torch.allclose(module(x), plain(module, x), rtol=0, atol=1e-3)


def test_an_expert_that_nobody_chose_has_a_gradient_of_zero() -> None:
    module = moe()
    module.router.weight.data[3] = 0
    module.router.weight.data[:3] = 50 * torch.eye(3, WIDTH)
    x = drawn(1, 4, WIDTH).abs()
    module(x).sum().backward()
    unused = [n for n, e in enumerate(module.experts) if not e.down.weight.grad.any()]
    assert unused
    assert all(p.grad is not None for p in module.parameters())


def test_padding_goes_through_no_expert() -> None:
    module, layout = moe(), Layout.padded((2, 5, 1), "left")
    x, rows = drawn(3, 5, WIDTH), []
    module.experts[0].register_forward_hook(lambda _m, args, _y: rows.append(len(args[0])))
    for expert in module.experts[1:]:
        expert.register_forward_hook(lambda _m, args, _y: rows.append(len(args[0])))
    y = module(x, Stream(layout=layout))
    assert sum(rows) == 8 * 2
    assert not y[0, :3].any()
    assert not y[2, :4].any()
    torch.testing.assert_close(y[0, 3:], plain(module, x)[0, 3:])


def imbalance_of(module: Moe, document_TD: Tensor) -> Tensor:
    """`T * sum of f P`, as DeepSeek-V3 writes it, one expert after the other."""
    shares = shares_of(module, document_TD)
    chosen = shares.topk(module.active).indices
    time, experts = shares.shape
    total = torch.zeros((), dtype=torch.float64)
    for expert in range(experts):
        f = experts / (module.active * time) * (chosen == expert).double().sum()
        total = total + f * shares[:, expert].sum() / time
    return time * total


def loss_of(module: Moe, x: Tensor, layout: Layout | None = None) -> Tensor:
    stream = Stream(layout=layout)
    module(x, stream)
    return stream.losses[LOAD_BALANCE]


def test_the_loss_is_a_sum_over_documents() -> None:
    module = moe()
    documents = [drawn(length, WIDTH, seed=length) for length in (3, 7, 2)]
    want = BALANCE * sum(imbalance_of(module, document) for document in documents)
    packed = torch.cat(documents)[None]
    got = loss_of(module, packed, Layout.packed((3, 7, 2)))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    padded = torch.full((3, 7, WIDTH), 5.0, dtype=torch.float64)
    for row, document in zip(padded, documents, strict=True):
        row[-len(document) :] = document
    got = loss_of(module, padded, Layout.padded((3, 7, 2), "left"))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    alone = [loss_of(module, document[None]) for document in documents]
    torch.testing.assert_close(sum(alone), want, rtol=1e-12, atol=1e-12)
    one = loss_of(module, packed)
    assert not torch.allclose(one, want), "a loss of the whole row would depend on the packing"


def test_the_loss_pulls_towards_equal_use() -> None:
    module, x = moe(active=1, normalised=False), drawn(1, 64, WIDTH).abs()
    module.router.weight.data[2] += 1.0
    before = loss_of(module, x).item()
    optimizer = torch.optim.SGD([module.router.weight], lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        loss_of(module, x).backward()
        optimizer.step()
    after, least = loss_of(module, x).item(), BALANCE * 64
    assert before > 1.7 * least
    assert 0.95 * least < after < 1.2 * least


def test_the_loss_is_for_training() -> None:
    for module in (moe().eval(), moe(balance=0.0)):
        stream = Stream()
        module(drawn(1, 4, WIDTH), stream)
        assert stream.losses == {}
    moe()(drawn(1, 4, WIDTH))  # with nowhere to put a loss


def test_the_router_is_exact_under_autocast() -> None:
    module, x = moe().float(), drawn(1, 9, WIDTH).float()
    with torch.autocast("cpu", torch.bfloat16):
        shares = module._shares(x[0])
    assert torch.equal(shares, module._shares(x[0]))


def test_what_it_costs() -> None:
    """All experts have weights; the chosen ones and the router do work."""
    block = {"kind": "moe", "experts": 5, "active": 2, "shared": 1, "width": 10, "gated": True}
    spec = parse(LayersSpec, {"layers": [{**block, "norm": "none"}], "head": "none"})
    total = count(build(spec, Signal.of((8, WIDTH))), batch=2).total
    mlp, router = 3 * WIDTH * 10, 5 * WIDTH
    assert total.parameters == 6 * mlp + router
    assert total.flops == 2 * (2 * 8) * (3 * mlp + router)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"experts": 1}, "experts: got 1, wanted at least 2"),
        ({"experts": 2, "active": 3}, "active: got 3, wanted at most 2, all experts"),
        ({"experts": 4, "active": 1}, "normalised: got true with active: 1, where every share bec"),
        ({"experts": 4, "width": 4, "ratio": 2.0}, "got both width and ratio, which say the same"),
    ],
)
def test_settings_that_do_not_suit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(MoeSpec, {"kind": "moe", **settings})
    assert message in str(caught.value)
