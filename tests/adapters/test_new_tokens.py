"""New tokens: their vectors learn, those of others stay."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import VOCAB, inputs, moved, network
from torch import Tensor

from luthier.adapters import AdapterSpec, BiasSpec, FreezeSpec, LoraSpec
from luthier.adapters.attach import activate, attach, exact, merge, merged
from luthier.adapters.moving import is_added
from luthier.adapters.new_rows import Span, grow

NEW = Span(VOCAB - 3, 2)
SPECS: dict[str, AdapterSpec] = {
    "lora": LoraSpec(rank=2, targets=("query",)),
    "both": LoraSpec(rank=2, targets=("query", "table")),
    "dora": LoraSpec(kind="dora", rank=2, targets=("table",)),
    "qlora": LoraSpec(kind="qlora", rank=2, targets=("query",)),
    "freeze": FreezeSpec(first=1),
}


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("head", ["tied", {"bias": True}], ids=["tied", "own"])
def test_new_rows_learn_alone_and_merged_is_attached(kind: str, head: object) -> None:
    net = network("transformer", head=head)  # type: ignore[arg-type]
    plain = {name: weight.clone() for name, weight in net.state_dict().items()}
    if kind == "freeze" and head == "tied":
        spec: AdapterSpec = FreezeSpec(first="all", but=("norm_before",))
    else:
        spec = SPECS[kind]
    attach(net, spec, tokens=NEW)
    rows = [name for name, _ in net.named_parameters() if ".rows." in name]
    assert all(is_added(name) for name in rows)
    table = "layers.0.table.weight"
    assert any(name.startswith("layers.0.table") for name in rows)
    untied_is_held = head != "tied" and kind != "freeze"
    assert any(name.startswith("head.") for name in rows) == untied_is_held
    x = inputs(net)
    assert (x >= NEW.first).any()
    net.train()
    net(x).square().sum().backward()
    assert all(net.get_parameter(name).grad.any() for name in rows)  # type: ignore[union-attr]
    net.eval()
    moved(net)
    attached, found = net(x), merged(net)
    if "table" not in getattr(spec, "targets", ()):
        different = (found[table] != plain[table]).any(1).nonzero().flatten()
        assert different.tolist() == list(range(NEW.first, NEW.stop))
    merge(net)
    torch.testing.assert_close(net(x), attached, rtol=1e-6, atol=1e-6)
    assert found.keys() == plain.keys() == net.state_dict().keys()


def test_a_table_that_moves_whole_needs_no_rows() -> None:
    net = attach(network("transformer"), FreezeSpec(names=("query",)), tokens=NEW)
    assert not any(".rows." in name for name, _ in net.named_parameters())
    only = attach(network("lstm", head={"bias": True}), BiasSpec(), tokens=NEW)
    assert any(".rows." in name for name, _ in only.named_parameters())
    assert "layers.0.table.weight" in exact(only)


def test_without_the_adapter_they_are_not_there() -> None:
    net = network("transformer")
    x = inputs(net)
    plain = net(x)
    attach(net, LoraSpec(rank=2, targets=("query",)), tokens=NEW)
    moved(net)
    assert not torch.allclose(net(x), plain)
    activate(net, None)
    torch.testing.assert_close(net(x), plain, rtol=1e-12, atol=1e-12)


def test_a_smaller_network_s_rows_are_kept_and_new_ones_are_their_mean() -> None:
    small = network("transformer", head={"bias": True}).state_dict()
    own = copy.deepcopy(small)
    for name in ("layers.0.table.weight", "head.0.linear.weight", "head.0.linear.bias"):
        own[name] = torch.cat([own[name], torch.zeros_like(own[name][:4])])
    found = grow(own, small, Span(VOCAB, 4))
    assert found.keys() == {
        "layers.0.table.weight", "head.0.linear.weight", "head.0.linear.bias"
    }  # fmt: skip

    def check(name: str, weight: Tensor) -> None:
        assert torch.equal(weight[:VOCAB], small[name])
        assert torch.equal(weight[VOCAB:], small[name].mean(0).expand_as(weight[VOCAB:]))

    for name, weight in found.items():
        check(name, weight)
    spare = grow(small, small, Span(VOCAB - 2, 1))["layers.0.table.weight"]
    changed = (spare != small["layers.0.table.weight"]).any(1).nonzero().flatten()
    assert changed.tolist() == [VOCAB - 2]
