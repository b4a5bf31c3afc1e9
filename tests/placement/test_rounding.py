"""Weights that stay are rounded once: the same numbers, in half of the memory, whole again."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from luthier.adapters.attach import attach, merged
from luthier.adapters.lora import LoraSpec
from luthier.errors import RunError
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.placement.place import PlacementSpec, place
from luthier.placement.rounding import put_back, round_still
from luthier.signal import Signal
from luthier.spec import parse

BF16 = torch.bfloat16


def network() -> Network:
    layers = [
        {"kind": "tokens", "width": 32},
        {"kind": "attention", "heads": 4, "position": "rotary"},
        {"kind": "moe", "experts": 2, "active": 1, "normalised": False},
        {"kind": "rms_norm"},
    ]
    net = build(
        parse(LayersSpec, {"layers": layers}), Signal.tokens(12, 40), (UnembedSpec(vocab=40),)
    )
    materialize(net, seed=1, spec=InitializeSpec())
    return net


def learned(net: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
    x = torch.randint(40, (3, 12), generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", dtype=BF16):
        y = net(x)
    y.float().square().mean().backward()
    return y, [w.grad.clone() for w in net.parameters() if w.grad is not None]


def still(net: nn.Module) -> set[str]:
    return {name for name, weight in net.named_parameters() if not weight.requires_grad}


def test_the_same_numbers_in_half_of_the_memory() -> None:
    net = attach(network(), LoraSpec(rank=2, targets=("query", "value", "up")))
    for weight in net.parameters():
        if weight.requires_grad:
            nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(3))
    twin = copy.deepcopy(net)
    rounded = round_still(twin, still(twin), BF16)
    assert "layers.1.inner.key.weight" in rounded
    assert "layers.1.inner.query.weight" in rounded
    assert "head.0.linear.weight" in rounded
    assert not any("router" in name or "norm" in name or "table" in name for name in rounded)
    (y, grads), (again, others) = learned(net), learned(twin)
    assert torch.equal(y, again)
    assert grads
    assert all(torch.equal(one, other) for one, other in zip(grads, others, strict=True))


def test_whole_again() -> None:
    net = attach(network(), LoraSpec(rank=2, targets=("query",)))
    before = {name: weight.clone() for name, weight in merged(net).items()}
    rounded = round_still(net, still(net), BF16)
    key = "layers.1.inner.key.weight"
    assert not torch.equal(merged(net)[key], before[key])
    put_back(net, rounded, before)
    assert all(torch.equal(weight, before[name]) for name, weight in merged(net).items())
    round_still(net, still(net), BF16)
    before[key] = before[key] + 1
    with pytest.raises(RunError, match=r"key\.weight is no longer what the run started from"):
        put_back(net, rounded, before)


def test_only_where_products_are_rounded_and_the_weights_are_kept_elsewhere() -> None:
    whole = {"device": "cpu", "layout": "channels_last", "threads": 1}
    for precision, given, some in (
        ("fp32", True, False),
        ("bf16", False, False),
        ("bf16", True, True),
    ):
        net = attach(network(), LoraSpec(rank=2, targets=("query",)))
        spec = PlacementSpec.model_validate({"precision": precision, **whole})
        placed = place(net, spec, still(net) if given else ())
        assert bool(placed.rounded) == some
