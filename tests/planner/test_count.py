"""Counts: each figure of a network that is small enough to work out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luthier.adapters import FreezeSpec, LoraSpec
from luthier.adapters.attach import attach
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.planner.count import count
from luthier.signal import Signal
from luthier.spec import parse

DIGIT = Signal.of((1, 28, 28))
CNN: list[dict[str, Any]] = [
    {"kind": "conv", "channels": 32, "kernel": 3, "activation": "relu"},
    {"kind": "max_pool", "size": 2},
    {"kind": "flatten"},
    {"kind": "dense", "width": 128, "activation": "relu"},
]
CONV = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "same", "norm": "batch"}
NESTED: list[dict[str, Any]] = [
    CONV,
    {
        "kind": "repeat",
        "times": 2,
        "first": {"layers.0.layers.0.stride": 2},
        "layers": [{"kind": "residual", "layers": [CONV, CONV], "activation": "relu"}],
    },
    {"kind": "parallel", "branches": [[], [CONV]]},
    {"kind": "residual", "shortcut": "pad", "layers": [{**CONV, "channels": 12}]},
    {"kind": "global_pool"},
    {"kind": "dropout", "rate": 0.5},
]


def network(layers: list[dict[str, Any]]) -> Network:
    return build(parse(LayersSpec, {"layers": layers}), DIGIT, (DenseSpec(width=10),))


def by_hand(batch: int) -> dict[str, tuple[int, int, int]]:
    """Of the small CNN: place → parameters, FLOPs, bytes kept for the backward pass."""
    outputs, pooled = 32 * 26 * 26, 32 * 13 * 13
    kept = {
        # What the convolution reads, and what its relu gives; the pool reads the same tensor.
        "model.layers[0]": 4 * 28 * 28 + 4 * outputs,
        # Where each maximum was, in 64 bits.
        "model.layers[1]": 8 * pooled,
        "model.layers[2]": 0,
        # What the dense layer reads, and what its relu gives; the head reads the same tensor.
        "model.layers[3]": 4 * pooled + 4 * 128,
        "model.head[0]": 0,
    }
    costs = {
        "model.layers[0]": (320, 2 * 9 * outputs),
        "model.layers[1]": (0, 0),
        "model.layers[2]": (0, 0),
        "model.layers[3]": (pooled * 128 + 128, 2 * pooled * 128),
        "model.head[0]": (1290, 2 * 1280),
    }
    return {
        place: (parameters, batch * flops, batch * kept[place])
        for place, (parameters, flops) in costs.items()
    }


def counted(built: Network, batch: int) -> dict[str, tuple[int, int, int]]:
    return {
        row.place: (row.parameters, row.flops, row.activation_bytes)
        for row in count(built, batch).rows
    }


@pytest.mark.parametrize("batch", [1, 2, 128])
def test_the_small_cnn(batch: int) -> None:
    assert counted(network(CNN), batch) == by_hand(batch)
    total = count(network(CNN), batch).total
    parts = list(by_hand(batch).values())
    assert total.parameters == 693_962 == sum(part[0] for part in parts)
    assert total.flops == sum(part[1] for part in parts)
    assert total.activation_bytes == sum(part[2] for part in parts)
    assert total.gives == Signal.of((10,))


def test_counting_a_shared_tensor_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.planner.count._storage", id)
    assert counted(network(CNN), 2) != by_hand(2)


def test_finished_networks_count_the_same_and_stay_as_they_are() -> None:
    planned = count(network(NESTED), batch=4)
    finished = network(NESTED)
    materialize(finished, seed=0, spec=InitializeSpec())
    finished.eval()
    finished.layers.get_submodule("0").train()
    before = {name: tensor.clone() for name, tensor in finished.state_dict().items()}
    state = torch.get_rng_state()
    assert count(finished, batch=4) == planned
    assert all(torch.equal(before[name], t) for name, t in finished.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert finished.layers.get_submodule("0").training
    assert not finished.head.training
    hooked = [m for m in finished.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert hooked == []


def test_nested_rows() -> None:
    rows = count(network(NESTED)).rows
    assert [("  " * row.depth + row.place, row.name) for row in rows] == [
        ("model.layers[0]", "conv"),
        ("model.layers[1]", "repeat"),
        ("  model.layers[1].copies[0].layers[0]", "residual"),
        ("    model.layers[1].copies[0].layers[0].layers[0]", "conv"),
        ("    model.layers[1].copies[0].layers[0].layers[1]", "conv"),
        ("    model.layers[1].copies[0].layers[0].shortcut", "projection"),
        ("  model.layers[1].copies[1].layers[0]", "residual"),
        ("    model.layers[1].copies[1].layers[0].layers[0]", "conv"),
        ("    model.layers[1].copies[1].layers[0].layers[1]", "conv"),
        ("model.layers[2]", "parallel"),
        ("  model.layers[2].branches[1][0]", "conv"),
        ("model.layers[3]", "residual"),
        ("  model.layers[3].layers[0]", "conv"),
        ("  model.layers[3].shortcut", "pad"),
        ("model.layers[4]", "global_pool"),
        ("model.layers[5]", "dropout"),
        ("model.head[0]", "dense"),
    ]


def test_rows_sum_up_and_name_their_weights() -> None:
    built = network(NESTED)
    counts = count(built, batch=4)
    for name in ("parameters", "flops", "activation_bytes"):
        outer = [getattr(row, name) for row in counts.rows if row.depth == 0]
        assert sum(outer) == getattr(counts.total, name)
    for row in counts.rows:
        module = built.get_submodule(row.module)
        assert row.parameters == sum(p.numel() for p in module.parameters())
        assert (row.flops > 0) == (row.name in {"conv", "dense", "projection", "repeat"}
            or row.name in {"residual", "parallel"})  # fmt: skip


def test_one_sample_is_half_of_two() -> None:
    one, two = count(network(NESTED)).total, count(network(NESTED), batch=2).total
    assert one.flops * 2 == two.flops
    assert one.activation_bytes == two.activation_bytes // 2


def test_frozen_weights_keep_less() -> None:
    built = network(CNN)
    whole = count(built).total.activation_bytes
    built.layers.get_submodule("0").requires_grad_(False)
    assert count(built).total.activation_bytes < whole
    built.requires_grad_(False)
    assert count(built).total.activation_bytes == 0


class Own(nn.Module):
    """Makes a tensor of its own, which no meta device knows of."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(784, 10)
        self.norm = nn.BatchNorm1d(10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.linear(x.flatten(1) + torch.ones(784)))
        return y


def test_own_modules() -> None:
    module = Own()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    counts = count(Network.of(module, DIGIT), batch=4)
    (row,) = counts.rows
    assert (row.place, row.name, row.module) == ("model", "Own", "layers")
    assert row.parameters == counts.total.parameters == 7870
    assert row.flops == counts.total.flops == 2 * 4 * 7840
    assert row.activation_bytes >= 4 * 4 * (784 + 10)
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())


def test_an_own_module_without_weights() -> None:
    assert count(Network.of(nn.Flatten(), DIGIT)).total.parameters == 0


def test_as_json() -> None:
    data = json.loads(json.dumps(count(network(CNN), batch=2).to_json()))
    assert data["batch"] == 2
    assert data["total"]["parameters"] == 693_962
    assert data["rows"][1] == {
        "place": "model.layers[1]",
        "name": "max_pool",
        "module": "layers.1",
        "depth": 0,
        "gives": {"form": "image", "shape": [32, 13, 13]},
        "parameters": 0,
        "trained": 0,
        "flops": 0,
        "activation_bytes": 2 * 8 * 32 * 13 * 13,
    }


def test_what_an_adapter_adds_and_what_stays() -> None:
    spec = LayersSpec(layers=(DenseSpec(width=32), DenseSpec(width=64)), head="none")
    net = build(spec, Signal.of((64,)))
    plain = count(net).total
    assert plain.trained == plain.parameters
    attach(net, LoraSpec(kind="qlora", rank=4, targets=("layers.0.linear",)))
    first, second = count(net).rows
    assert (first.parameters, first.trained) == (64 * 32 + 32, 4 * (64 + 32))
    assert (second.parameters, second.trained) == (32 * 64 + 64, 0)
    assert count(net).total.parameters == plain.parameters
    assert first.flops == 2 * (64 * 32 + 4 * (64 + 32))
    held = attach(build(spec, Signal.of((64,))), FreezeSpec(first=1))
    assert count(held).total.trained == 32 * 64 + 64
