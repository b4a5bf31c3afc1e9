"""Weights that stay, for good or at first; that move less; biases alone."""

from __future__ import annotations

import pytest
import torch
from networks import KINDS, inputs, network
from torch import nn

from luthier.adapters import BiasSpec, FreezeSpec
from luthier.adapters.attach import attach, merge
from luthier.adapters.freeze import rates, thawing
from luthier.adapters.moving import moves
from luthier.adapters.stages import stages
from luthier.errors import InputError, SpecError
from luthier.spec import parse
from luthier.training.adam import AdamWSpec
from luthier.training.muon import MuonSpec
from luthier.training.optimizer import OptimizerSpec
from luthier.training.sgd import SgdSpec
from luthier.training.thaw import Thaw

HEAD = {"bias": True}


def moving(net: nn.Module) -> set[str]:
    return {name for name, weight in net.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("kind", KINDS)
def test_each_weight_is_in_one_layer(kind: str) -> None:
    net = network(kind)
    named = [name for stage in stages(net) for name in stage]
    assert sorted(named) == sorted(name for name, _ in net.named_parameters())


def test_the_first_layers_stay() -> None:
    net = attach(network("transformer", head=HEAD), FreezeSpec(first=2))
    assert moving(net) == {
        name
        for name, _ in net.named_parameters()
        if name.startswith(("layers.1.copies.1.", "layers.2.", "head."))
    }
    assert moves(net).where == "the last of 3 layers; head whole"
    assert merge(net) is net
    assert moving(net) == {name for name, _ in net.named_parameters()}


def test_names_and_exceptions() -> None:
    net = network("transformer", head=HEAD)
    attach(net, FreezeSpec(first="all", but=("norm_before", "copies.1.*.up.weight", "head")))
    found = moving(net)
    assert "layers.1.copies.0.1.norm_before.weight" in found
    assert {"head.0.linear.weight", "head.0.linear.bias"} <= found
    assert not any("query.weight" in name for name in found)
    attach(net, FreezeSpec(names=("query", "layers.0")))
    still = {name for name, _ in net.named_parameters()} - moving(net)
    assert still == {
        "layers.0.table.weight",
        "layers.1.copies.0.0.inner.query.weight",
        "layers.1.copies.1.0.inner.query.weight",
    }


def test_biases_alone() -> None:
    net = attach(network("lstm", head=HEAD), BiasSpec())
    assert {name.rpartition(".")[2].partition("_")[0] for name in moving(net)} == {"bias"}
    assert "layers.1.rnn.bias_hh_l1_reverse" in moving(net)
    new = attach(network("lstm", head=HEAD), BiasSpec(), new=("head.",))
    assert moves(new).where == "biases in 1 layer; head whole"
    with pytest.raises(InputError, match="no layer of the network adds a bias"):
        attach(network("transformer"), BiasSpec())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (FreezeSpec(first=9), r"adapter\.first: got 9, but the network has 3 layers"),
        (FreezeSpec(names=("qeury",)), 'got "qeury", which no layer or weight is called; did you'),
        (FreezeSpec(first="all"), "all weights stay, and nothing is new"),
    ],
)
def test_what_cannot_stay(spec: FreezeSpec, message: str) -> None:
    with pytest.raises(InputError, match=message):
        attach(network("transformer"), spec)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "nothing stays"),
        ({"thaw_every_steps": 3, "names": ["table"]}, "none stays; give first"),
        ({"first": 1, "thaw_every_steps": 3, "thaw_every_epochs": 1.0}, "leave one out"),
        ({"depth_decay": 0.5, "but": ["table"]}, "but is of what stays"),
    ],
)
def test_settings_that_would_not_be_used(data: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(FreezeSpec, data)


def test_each_layer_learns_at_its_own_rate() -> None:
    spec = FreezeSpec(depth_decay=0.5)
    net = network("transformer", head=HEAD)
    by_name = dict(net.named_parameters())
    found = rates(net, spec, new=("head.",))
    assert found[by_name["layers.0.table.weight"]] == 0.125
    assert found[by_name["layers.1.copies.1.0.inner.query.weight"]] == 0.5
    assert by_name["head.0.linear.weight"] not in found
    goes_on = rates(net, spec)
    assert goes_on[by_name["layers.0.table.weight"]] == 0.125
    assert by_name["head.0.linear.weight"] not in goes_on
    tied = network("transformer")
    assert rates(tied, spec)[dict(tied.named_parameters())["layers.0.table.weight"]] == 0.25


@pytest.mark.parametrize(
    "spec",
    [SgdSpec(momentum=0.0), AdamWSpec(weight_decay=0.1), MuonSpec(weight_decay=0.1)],
    ids=lambda spec: spec.kind,
)
def test_a_step_is_as_long_as_the_rate(spec: OptimizerSpec) -> None:
    def steps(held: FreezeSpec | None) -> dict[str, torch.Tensor]:
        net = network("transformer", head=HEAD)
        before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
        optimizer = spec.build(net, rates(net, held) if held else {})
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] * group["rate"]
        net(inputs(net)).square().mean().backward()
        optimizer.step()
        return {name: weight.detach() - before[name] for name, weight in net.named_parameters()}

    same, less = steps(None), steps(FreezeSpec(depth_decay=0.5))
    for name, factor in (("layers.0.table.weight", 0.125), ("head.0.linear.bias", 1.0)):
        torch.testing.assert_close(less[name], factor * same[name], rtol=1e-9, atol=1e-13)
        assert same[name].abs().max() > 0


def test_layers_are_freed_one_after_the_other_whatever_the_first_step() -> None:
    spec = FreezeSpec(first=2, thaw_every_steps=5, names=("norm_before",))
    net = attach(network("transformer", head=HEAD), spec)
    ever = moving(net)
    assert "layers.0.table.weight" in ever, "what moves later has room in the optimizer"
    assert not any("norm_before" in name for name in ever)
    thaw = Thaw(net, thawing(net, spec), 5)
    seen = {}
    for step in (0, 4, 5, 9, 10, 100, 3):
        thaw.at(step)
        seen[step] = moving(net)
    first, second = "layers.1.copies.0.0.inner.query.weight", "layers.0.table.weight"
    assert seen[0] == seen[4] == seen[3]
    assert first not in seen[4]
    assert seen[9] == seen[5]
    assert first in seen[5]
    assert second not in seen[9]
    assert seen[100] == seen[10] == ever


def test_the_norm_of_a_layer_measures_from_when_it_is_freed() -> None:
    spec = FreezeSpec(first=1, thaw_every_steps=2)
    net = attach(network("dense"), spec).train()
    thaw = Thaw(net, thawing(net, spec), 2)
    mean = dict(net.named_buffers())["layers.0.norm.running_mean"]
    before = mean.clone()
    thaw.at(0)
    net(inputs(net))
    assert torch.equal(mean, before)
    thaw.at(2)
    net(inputs(net))
    assert not torch.equal(mean, before)
