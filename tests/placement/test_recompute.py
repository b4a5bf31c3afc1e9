"""Activations that are computed again: the same values and gradients, with less kept."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from luthier.adapters.attach import attach
from luthier.adapters.lora import LoraSpec
from luthier.errors import InputError
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.placement import recompute
from luthier.placement.compiling import compile_for_training
from luthier.placement.place import PlacementSpec, place
from luthier.placement.recompute import recompute_blocks
from luthier.signal import Signal
from luthier.spec import parse

VOCAB, TIME = 11, 6
ATTENTION = {"kind": "attention", "heads": 2, "position": "rotary", "norm": "rms", "dropout": 0.2}
MLP = {"kind": "mlp", "gated": True, "dropout": 0.3}
MOE = {"kind": "moe", "experts": 4, "active": 2}
NORMED = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "same", "norm": "batch"}
TOKENS = {"kind": "tokens", "width": 8}
NETWORKS: dict[str, tuple[list[dict[str, Any]], Signal]] = {
    "transformer": (
        [TOKENS, {"kind": "repeat", "times": 3, "layers": [ATTENTION, MLP]}],
        Signal.tokens(TIME, vocab=VOCAB),
    ),
    "experts": (
        [TOKENS, {"kind": "repeat", "times": 2, "layers": [ATTENTION, MOE]}],
        Signal.tokens(TIME, vocab=VOCAB),
    ),
    "convolutions": (
        [NORMED, {"kind": "repeat", "times": 3, "layers": [NORMED | {"activation": "relu"}]}],
        Signal.of((2, 5, 5)),
    ),
    "repeats in repeats": (
        [TOKENS, {"kind": "repeat", "times": 2, "layers": [
            {"kind": "repeat", "times": 2, "layers": [ATTENTION]}, MLP]}],
        Signal.tokens(TIME, vocab=VOCAB),
    ),
}  # fmt: skip


def network(kind: str = "transformer") -> Network:
    layers, reads = NETWORKS[kind]
    net = build(parse(LayersSpec, {"layers": layers}), reads)
    materialize(net, seed=3, spec=InitializeSpec(), dtype=torch.float64)
    return net.train()


def inputs(net: Network, rows: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(rows)
    if net.reads.form == "tokens":
        return torch.randint(VOCAB, (rows, TIME), generator=generator)
    return torch.randn((rows, *net.reads.shape), generator=generator, dtype=torch.float64)


def outcome(net: Network, stream: Stream | None = None, rows: int = 4) -> list[Tensor]:
    """What it gives, the gradients, and the buffers afterwards."""
    torch.manual_seed(5)
    stream = Stream() if stream is None else stream
    y = net(inputs(net, rows), stream)
    loss = y.square().sum() + sum(stream.losses.values(), torch.zeros(()))
    moving = [weight for weight in net.parameters() if weight.requires_grad]
    found = torch.autograd.grad(loss, moving)
    return [y.detach(), *found, *(buffer.clone() for buffer in net.buffers()), torch.rand(1)]


def same(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


@pytest.mark.parametrize("kind", NETWORKS)
def test_values_gradients_and_statistics_are_the_same(kind: str) -> None:
    ours = network(kind)
    assert recompute_blocks(ours) in (2, 3)
    assert list(ours.state_dict()) == list(network(kind).state_dict())
    assert same(outcome(ours), outcome(network(kind)))


def test_packed_rows() -> None:
    ours = network()
    recompute_blocks(ours)
    found = [outcome(net, Stream(layout=Layout.packed((2, 4))), 1) for net in (ours, network())]
    assert same(*found)


@pytest.mark.parametrize("spec", [LoraSpec(rank=2, dropout=0.3), LoraSpec(rank=2, bits=4)])
def test_under_an_adapter(spec: LoraSpec) -> None:
    ours = attach(network(), spec)
    recompute_blocks(ours)
    assert same(outcome(ours), outcome(attach(network(), spec)))


def test_with_compiled_layers() -> None:
    """The graph that is traced is run again."""
    ours, plain = network(), network()
    for net in (ours, plain):
        torch._dynamo.reset()
        compile_for_training(net, "aot_eager")
    recompute_blocks(ours)
    assert same(outcome(ours), outcome(plain))
    torch._dynamo.reset()


def kept(net: Network) -> int:
    """The bytes that are kept for the backward pass of a step."""
    storages: dict[int, int] = {}

    def save(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        y = net(inputs(net), Stream())
    del y
    return sum(storages.values())


def test_less_is_kept_and_nothing_afterwards() -> None:
    ours, plain = network("experts"), network("experts")
    recompute_blocks(ours)
    assert kept(ours) < kept(plain) / 4
    stream = Stream()
    y = ours(inputs(ours), stream)
    gone = weakref.ref(y), weakref.ref(stream)
    (y.sum() + sum(stream.losses.values())).backward()
    del y, stream
    gc.collect()
    assert [one() for one in gone] == [None, None]


@pytest.mark.parametrize(
    "broken",
    [
        lambda patch: patch.setattr(
            recompute, "checkpoint",
            lambda run, x, **how: torch.utils.checkpoint.checkpoint(
                run, x, **how, preserve_rng_state=False
            ),
        ),
        lambda patch: patch.setattr(recompute, "_buffers_stay", recompute.nullcontext),
    ],
    ids=["random numbers", "statistics"],
)  # fmt: skip
def test_a_broken_twin_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    kinds = ("transformer", "convolutions")
    ours = {kind: network(kind) for kind in kinds}
    for net in ours.values():
        recompute_blocks(net)
    assert not all(same(outcome(ours[kind]), outcome(network(kind))) for kind in kinds)


def test_it_is_a_placement() -> None:
    spec = PlacementSpec(
        device="cpu", precision="fp32", layout="channels_last", threads=1, recompute="blocks"
    )
    ours = network()
    place(ours, spec)
    assert kept(ours) < kept(network()) / 2
    with torch.no_grad():
        assert torch.equal(ours.eval()(inputs(ours)), network().eval()(inputs(ours)))
    with pytest.raises(InputError, match=r"placement\.recompute: got blocks, but .*leave it out"):
        place(nn.Linear(2, 2), spec)
