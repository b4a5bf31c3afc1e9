"""Adapters on networks of every kind: on, off, merged, and several on one."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import KINDS, inputs, moved, network
from torch import nn

from luthier.adapters.attach import activate, attach, merge, merged, names
from luthier.adapters.lora import LoraSpec
from luthier.adapters.moving import is_added, moves
from luthier.errors import InputError

LOW = ("lora", "rslora", "dora")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("low", LOW)
def test_begins_as_it_was_and_merged_is_attached(kind: str, low: str) -> None:
    net = network(kind)
    x, before = inputs(net), {name: w.clone() for name, w in net.state_dict().items()}
    y = net(x)
    attach(net, LoraSpec(kind=low, rank=2))
    torch.testing.assert_close(net(x), y, rtol=1e-12, atol=1e-12)
    assert before.keys() < net.state_dict().keys(), "base weight names stay"
    moved(net)
    attached = net(x)
    assert not torch.allclose(attached, y, atol=1e-3)
    assert all(torch.equal(net.state_dict()[name], w) for name, w in before.items())
    found = merged(net)
    merge(net)
    assert net.state_dict().keys() == before.keys() == found.keys()
    assert all(torch.equal(found[name], w) for name, w in net.state_dict().items())
    torch.testing.assert_close(net(x), attached, rtol=1e-12, atol=1e-12)
    assert type(net) is type(network(kind))
    fresh = network(kind)
    fresh.load_state_dict(found)
    torch.testing.assert_close(fresh(x), attached, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_adapter_gets_gradients(kind: str) -> None:
    net = attach(network(kind), LoraSpec(rank=2)).train()
    moved(net)
    net(inputs(net)).square().sum().backward()
    for name, weight in net.named_parameters():
        assert (weight.grad is not None) == is_added(name), name
        assert weight.grad is None or weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("low", LOW)
@pytest.mark.parametrize("head", ["tied", {"bias": True}])
def test_a_table_and_the_head_that_is_tied_to_it(low: str, head: object) -> None:
    net = network("transformer", head=head)  # type: ignore[arg-type]
    x, y = inputs(net), network("transformer", head=head)(inputs(net))  # type: ignore[arg-type]
    spec = LoraSpec(kind=low, rank=2, targets=("table", "query"))
    attach(net, spec)
    torch.testing.assert_close(net(x), y, rtol=1e-12, atol=1e-12)
    moved(net)
    attached = net(x)
    torch.testing.assert_close(merge(net)(x), attached, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_an_adapter_is_that_of_the_weights_that_it_stands_for() -> None:
    net = attach(network("transformer", head="tied"), LoraSpec(rank=2, targets=("query", "table")))
    moved(net)
    twin = merge(copy.deepcopy(net))
    x = inputs(net)
    net(x).square().sum().backward()
    twin(x).square().sum().backward()
    for name in ("layers.1.copies.1.0.inner.query", "layers.0.table"):
        low = net.get_submodule(f"{name}.adapters.default.weight")
        whole = twin.get_parameter(f"{name}.weight").grad
        assert whole is not None
        torch.testing.assert_close(low.up.grad, low.scale * whole @ low.down.T)
        torch.testing.assert_close(low.down.grad, low.scale * low.up.T @ whole)


@pytest.mark.parametrize("kind", ["transformer", "convnet"])
@pytest.mark.parametrize("low", LOW)
def test_dropout_changes_training_alone_and_the_mean_of_it_is_what_evaluation_gives(
    kind: str, low: str
) -> None:
    targets = ("down",) if kind == "transformer" else ("layers.1.conv",)
    net = attach(network(kind), LoraSpec(kind=low, rank=2, dropout=0.25, targets=targets))
    moved(net)
    layer = next(m for name, m in net.named_modules() if name.endswith(targets[0]))
    generator = torch.Generator().manual_seed(1)
    wide = layer.in_features if kind == "transformer" else layer.in_channels
    x = torch.randn(
        (1, 3, wide) if kind == "transformer" else (1, wide, 5, 5),
        generator=generator,
        dtype=torch.float64,
    )
    whole = layer(x)
    torch.manual_seed(0)
    layer.train()
    drawn = torch.stack([layer(x) for _ in range(2000)])
    assert drawn.std(0).min() > 0
    error = (drawn.mean(0) - whole).abs() / (drawn.std(0) / 2000**0.5)
    assert error.max() < 5


def test_what_is_new_moves_whole_and_gets_no_adapter() -> None:
    net = network("dense")
    attach(net, LoraSpec(rank=2, also=("layers.0.norm",)), new=("layers.1.",))
    moving = {name for name, weight in net.named_parameters() if weight.requires_grad}
    low = {f"layers.0.linear.adapters.default.weight.{part}" for part in ("down", "up")}
    norm = {f"layers.0.norm.{part}" for part in ("weight", "bias")}
    assert moving == low | norm | {n for n, _ in net.named_parameters() if n.startswith("layers.1")}


def test_batch_norms_of_frozen_layers_measure_nothing_and_others_do() -> None:
    net = attach(network("dense"), LoraSpec(rank=2), new=("layers.1.",)).train()
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net(inputs(net))
    after = dict(net.named_buffers())
    assert torch.equal(before["layers.0.norm.running_mean"], after["layers.0.norm.running_mean"])
    assert not torch.equal(
        before["layers.1.norm.running_mean"], after["layers.1.norm.running_mean"]
    )
    assert merge(net).train().layers[0].norm.training


def test_several_adapters_on_one_network() -> None:
    net = network("transformer")
    x = inputs(net)
    plain = net(x)
    outputs = {}
    for number, (name, low) in enumerate((("one", "lora"), ("two", "dora"))):
        attach(net, LoraSpec(kind=low, rank=2, name=name, targets=("query", "up")), seed=number)
        moved(net, seed=number)
        outputs[name] = net(x)
    assert names(net) == ["one", "two"]
    for name, wanted in outputs.items():
        activate(net, name)
        assert torch.equal(net(x), wanted)
        moving = [n for n, weight in net.named_parameters() if weight.requires_grad]
        assert moving
        assert all(f".adapters.{name}." in n for n in moving)
    activate(net, None)
    torch.testing.assert_close(net(x), plain, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(merge(net, "one")(x), outputs["one"], rtol=1e-12, atol=1e-12)
    with pytest.raises(InputError, match='no adapter is called tow; did you mean "two"'):
        activate(attach(network("dense"), LoraSpec(rank=2, name="two")), "tow")
    with pytest.raises(InputError, match="an adapter called two already"):
        attach(attach(network("dense"), LoraSpec(rank=2, name="two")), LoraSpec(rank=2, name="two"))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            ("qurey",),
            'adapter.targets: got "qurey", which no layer is called; did you mean "query"',
        ),
        (("query", "inner.vaule"), 'did you mean "inner.value"'),
        (("norm_before",), '"norm_before" is a RmsNorm, which can have no adapter'),
    ],
)
def test_a_target_that_is_not_there(targets: tuple[str, ...], message: str) -> None:
    net = network("transformer")
    before = set(net.state_dict())
    with pytest.raises(InputError, match=message):
        attach(net, LoraSpec(rank=2, targets=targets))
    assert set(net.state_dict()) == before
    assert all(weight.requires_grad for weight in net.parameters())


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(InputError, match=r"lower adapter\.rank"):
        attach(network("dense"), LoraSpec(rank=500))
    with pytest.raises(InputError, match=r"adapter.dropout: got 0.1, but layers.1.rnn"):
        attach(network("gru"), LoraSpec(rank=2, dropout=0.1))
    tied = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9, bias=False))
    tied[1].weight = tied[0].weight  # type: ignore[assignment]
    with pytest.raises(InputError, match="the weights of 1 are those of 0 too"):
        attach(tied, LoraSpec(rank=2, targets=("1",)))


def test_what_it_begins_with_depends_on_the_seed_and_the_name_alone() -> None:
    def drawn(seed: int, targets: tuple[str, ...]) -> torch.Tensor:
        net = attach(network("transformer"), LoraSpec(rank=2, targets=targets), seed=seed)
        return net.get_parameter("layers.1.copies.0.0.inner.query.adapters.default.weight.down")

    assert torch.equal(drawn(1, ("query",)), drawn(1, ("value", "query")))
    assert not torch.equal(drawn(1, ("query",)), drawn(2, ("query",)))


def test_what_moves_is_told() -> None:
    net = network("transformer", head="tied")
    whole = sum(weight.numel() for weight in net.parameters())
    attach(net, LoraSpec(rank=2, targets=("query", "value")))
    found = moves(net)
    assert found.whole == whole
    assert found.trained == 2 * (2 * (16 + 16) + 2 * (16 + 8))
    assert found.sentence() == (
        f"trains 224 of {whole / 1000:.1f} k weights ({100 * 224 / whole:.2g} %): "
        "query, value in 2 layers"
    )
