"""Networks from specs, and around somebody's own module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luthier.errors import InputError, ShapeError, SpecError
from luthier.model.block import BlockSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.flatten import FlattenSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse

DIGIT = Signal.of((1, 28, 28))
SMALL_CNN: list[dict[str, Any]] = [
    {"kind": "conv", "channels": 32, "kernel": 3, "activation": "relu"},
    {"kind": "max_pool", "size": 2},
    {"kind": "flatten"},
    {"kind": "dense", "width": 128, "activation": "relu"},
]


def layers(*blocks: dict[str, Any], **rest: Any) -> LayersSpec:
    return parse(LayersSpec, {"layers": list(blocks), **rest}, prefix="model")


def test_the_small_cnn() -> None:
    network = build(layers(*SMALL_CNN), DIGIT, (DenseSpec(width=10),))
    assert sum(parameter.numel() for parameter in network.parameters()) == 693_962
    assert network.gives == Signal.of((10,))
    assert isinstance(network.layers, Chain)
    assert [str(step.gives) for step in network.layers.steps] == [
        "an image (32, 26, 26)",
        "an image (32, 13, 13)",
        "a vector (5408)",
        "a vector (128)",
    ]
    assert list(network.state_dict()) == [
        "layers.0.conv.weight",
        "layers.0.conv.bias",
        "layers.3.linear.weight",
        "layers.3.linear.bias",
        "head.0.linear.weight",
        "head.0.linear.bias",
    ]


def test_nothing_is_allocated() -> None:
    """A petabyte of weights is built as fast as any."""
    network = build(layers({"kind": "dense", "width": 2**20}), Signal.of((2**28,)))
    assert sum(parameter.numel() for parameter in network.parameters()) > 2**48
    assert all(parameter.device.type == "meta" for parameter in network.parameters())


def test_the_head_is_made_for_what_the_layers_give() -> None:
    seen: list[Signal] = []

    def head(signal: Signal) -> Sequence[BlockSpec]:
        seen.append(signal)
        return (FlattenSpec(), DenseSpec(width=3))

    network = build(layers(SMALL_CNN[0]), DIGIT, head)
    assert seen == [Signal.of((32, 26, 26))]
    assert network.gives == Signal.of((3,))
    assert [step.place for step in network.head.steps] == ["model.head[0]", "model.head[1]"]


def test_no_head() -> None:
    network = build(layers(*SMALL_CNN, head="none"), DIGIT, (DenseSpec(width=10),))
    assert network.gives == Signal.of((128,))
    assert len(network.head) == 0


def test_a_head_that_cannot_read_the_layers() -> None:
    with pytest.raises(ShapeError) as caught:
        build(layers(*SMALL_CNN[:2]), DIGIT, (DenseSpec(width=10),))
    assert str(caught.value) == (
        "model.head[0]: dense reads a vector, but gets an image (32, 13, 13) from max_pool; add "
        "{kind: flatten} before it"
    )


def test_the_message_of_the_design() -> None:
    blocks = [SMALL_CNN[0], {"kind": "activation", "name": "relu"}, SMALL_CNN[1], SMALL_CNN[3]]
    with pytest.raises(ShapeError) as caught:
        build(layers(*blocks), DIGIT)
    assert str(caught.value) == (
        "model.layers[3]: dense reads a vector, but gets an image (32, 13, 13) from max_pool; add "
        "{kind: flatten} before it"
    )


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "model.layers: got no layers; wanted at least one, such as {kind: flatten}"),
        ([{"kind": "convv"}], 'model.layers[0]: unknown kind "convv"; did you mean "conv"?'),
        ([{"channels": 3}], "model.layers[0]: has no kind"),
        (
            [{"kind": "conv", "chanels": 3, "kernel": 3}],
            'model.layers[0].chanels: unknown setting "chanels"; did you mean "channels"?',
        ),
    ],
)
def test_bad_layers(blocks: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        layers(*blocks)
    assert message in str(caught.value)


def test_repeats_that_multiply_are_bounded() -> None:
    block: dict[str, Any] = {"kind": "activation", "name": "relu"}
    for _ in range(12):
        block = {"kind": "repeat", "times": 1000, "layers": [block]}
    with pytest.raises(SpecError, match="blocks, wanted at most 10,000"):
        layers(block)


def test_signals_that_grow_without_end_are_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        build(layers({"kind": "repeat", "times": 20, "layers": [UP]}), DIGIT)
    assert str(caught.value) == (
        "model.layers[0].layers[0]: upsample gives an image (1, 7340032, 7340032) for an image "
        "(1, 114688, 114688); wanted 1 to 68,719,476,736 elements"
    )


UP = {"kind": "upsample", "factor": 64}


# Somebody's own module.


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(3, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.drop(self.norm(self.conv(x))).mean((2, 3)))
        return out


def test_own_module() -> None:
    module = Own()
    module.drop.eval()
    kept = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    network = Network.of(module, DIGIT)
    assert network.gives == Signal.of((10,))
    assert "layers.conv.weight" in network.state_dict()
    assert torch.equal(network.eval()(torch.ones(2, 1, 28, 28)), module(torch.ones(2, 1, 28, 28)))
    assert all(torch.equal(kept[name], tensor) for name, tensor in module.state_dict().items())


def test_measuring_an_own_module_leaves_its_modes() -> None:
    module = Own()
    module.norm.eval()
    Network.of(module, DIGIT)
    assert module.training
    assert module.conv.training
    assert not module.norm.training


def test_an_own_module_in_float64_and_without_weights() -> None:
    assert Network.of(Own().double(), DIGIT).gives == Signal.of((10,))
    assert Network.of(nn.Flatten(), DIGIT).gives == Signal.of((784,))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Summed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum()


class Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).T


class Emptied(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :0]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(5, 3), "the network Linear cannot read an image (1, 28, 28): "),
        (Pair(), "the network Pair gives tuple; wanted a tensor"),
        (Summed(), "the network Summed gives a tensor () for 2 rows of an image (1, 28, 28)"),
        (Transposed(), "the network Transposed gives a tensor (784, 2) for 2 rows"),
        (Emptied(), "the network Emptied gives an image (0, 28, 28)"),
    ],
)
def test_own_modules_that_are_no_network(module: nn.Module, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Network.of(module, DIGIT)
    assert str(caught.value).startswith(message)


def test_tokens_are_whole_numbers() -> None:
    network = Network.of(nn.Embedding(7, 3), Signal("tokens", (5,)))
    assert network.gives == Signal.of((5, 3))


def test_a_spec_may_come_from_python() -> None:
    spec = LayersSpec(layers=(FlattenSpec(), DenseSpec(width=4)))
    assert spec == layers({"kind": "flatten"}, {"kind": "dense", "width": 4})
    network = build(spec, DIGIT)
    materialize(network, seed=0, spec=InitializeSpec())
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 4)


def test_the_schema_explains_every_setting() -> None:
    """An editor completes recipes with it; blocks inside of blocks are the same blocks."""
    schema = LayersSpec.model_json_schema()
    kinds = {
        definition["properties"]["kind"]["const"]: definition["properties"]
        for definition in schema["$defs"].values()
        if "kind" in definition["properties"]
    }
    assert kinds["conv"]["stride"]["description"].startswith("Positions from one")
    inner = kinds["residual"]["layers"]["items"]["discriminator"]["mapping"]
    assert set(inner) == set(schema["properties"]["layers"]["items"]["discriminator"]["mapping"])
    assert set(inner) <= set(kinds)
