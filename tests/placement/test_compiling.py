"""What torch.compile reaches, and what it leaves alone. Torch's own tracer, without a compiler."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luthier.errors import InputError
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.model.layout import Layout
from luthier.model.stream import State, Stream
from luthier.placement.compiling import compile_for_training
from luthier.placement.place import PlacementSpec, place
from luthier.signal import Signal
from luthier.spec import parse

VOCAB, TIME = 11, 6
ATTENTION = {"kind": "attention", "heads": 2, "position": "rotary", "norm": "rms"}
LAYERS: list[dict[str, Any]] = [
    {"kind": "tokens", "width": 8},
    {"kind": "repeat", "times": 3, "layers": [ATTENTION, {"kind": "mlp", "gated": True}]},
    {"kind": "layer_norm"},
]


class Counter:
    """A backend that runs the operations as they are, and counts what it was handed."""

    def __init__(self) -> None:
        self.graphs = self.runs = 0

    def __call__(self, graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> Any:
        self.graphs += 1

        def run(*inputs: Tensor) -> Any:
            self.runs += 1
            return graph(*inputs)

        return run


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def network(layers: list[dict[str, Any]] = LAYERS) -> Network:
    net = build(parse(LayersSpec, {"layers": layers}), Signal.tokens(TIME, vocab=VOCAB))
    materialize(net, seed=3, spec=InitializeSpec(), dtype=torch.float64)
    return net


def tokens(rows: int, time: int = TIME) -> Tensor:
    return torch.randint(VOCAB, (rows, time), generator=torch.Generator().manual_seed(rows))


def gradients(net: nn.Module, x: Tensor) -> list[Tensor]:
    y = net(x, Stream())
    return [y.detach(), *torch.autograd.grad(y.square().sum(), list(net.parameters()))]


def test_the_copies_of_a_repeat_share_one_graph() -> None:
    plain, ours, counter = network(), network(), Counter()
    assert compile_for_training(ours, counter) == 3
    assert list(ours.state_dict()) == list(plain.state_dict())
    for left, right in zip(gradients(ours, tokens(4)), gradients(plain, tokens(4)), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)
    assert (counter.graphs, counter.runs) == (1, 3)
    gradients(ours, tokens(4))
    assert (counter.graphs, counter.runs) == (1, 6)
    gradients(ours, tokens(3))  # the short batch at the end of an epoch
    gradients(ours, tokens(4))
    assert (counter.graphs, counter.runs) == (2, 12)


def test_what_reads_has_many_shapes_and_is_left_alone() -> None:
    ours, counter = network(), Counter()
    compile_for_training(ours, counter)
    with torch.no_grad():
        ours(tokens(4), Stream())
        ours.decode(tokens(2, 3), State(capacity=TIME))
    packed = Stream(layout=Layout.packed((2, 4)))
    ours(tokens(1), packed).sum().backward()
    assert counter.runs == 0


def test_without_a_repeat_all_layers_are_one_graph() -> None:
    net, counter = network([LAYERS[0], ATTENTION, {"kind": "mlp"}]), Counter()
    assert compile_for_training(net, counter) == 1
    gradients(net, tokens(2))
    assert (counter.graphs, counter.runs) == (1, 1)
    own = Network.of(nn.Linear(4, 2), Signal.of((4,)))
    assert compile_for_training(own, counter) == 1
    own(torch.zeros(3, 4))
    assert counter.graphs == 2


def test_a_repeat_inside_of_a_repeat_is_a_part_of_it() -> None:
    inner = {"kind": "repeat", "times": 2, "layers": [{"kind": "mlp"}]}
    net = network([LAYERS[0], {"kind": "repeat", "times": 2, "layers": [inner]}])
    assert compile_for_training(net, Counter()) == 2


def test_no_compiler_is_told_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    spec = PlacementSpec(
        device="cpu", precision="fp32", layout="channels_last", compile=True, threads=1
    )
    with pytest.raises(InputError, match=r"placement\.compile: got true, but there is no C\+\+"):
        place(network(), spec)
