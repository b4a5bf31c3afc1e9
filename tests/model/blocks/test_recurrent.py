"""LSTM, GRU and RNN: against a plain loop, in every layout, step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from laid_out import (
    LENGTHS,
    WIDTH,
    block,
    differs,
    documents,
    layouts,
    outputs_of,
    overfits,
    padding_gets_no_gradient,
    rows_of,
    sees_the_future,
    stepwise_differs,
)
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks import recurrent
from luthier.model.blocks.recurrent import Lstm, Recurrent, RecurrentSpec
from luthier.model.blueprint import LayersSpec, build
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, Scheme, materialize
from luthier.model.layout import Layout
from luthier.model.stream import State, Stream
from luthier.model.stretches import Stretch, as_rows_end
from luthier.signal import Signal
from luthier.spec import parse

CELLS: list[dict[str, Any]] = [
    {"cell": "lstm"},
    {"cell": "gru"},
    {"cell": "rnn"},
    {"cell": "rnn", "activation": "relu"},
]
SHAPES: list[dict[str, Any]] = [
    {},
    {"bidirectional": True},
    {"depth": 3},
    {"depth": 2, "bidirectional": True},
    {"gives": "last"},
    {"gives": "last", "bidirectional": True, "depth": 2},
    {"bias": False},
    {"bias": False, "bidirectional": True},
]
CASES = [{**cell, **shape} for cell in CELLS for shape in SHAPES]


def spec_of(**settings: Any) -> RecurrentSpec:
    return parse(RecurrentSpec, {"width": 5, **settings})


def recurrent_in(chain: nn.Module) -> Recurrent:
    found = chain.get_submodule("0")
    assert isinstance(found, Recurrent)
    return found


# An independent reference: one position after the other, from the published equations.


def cell_step(cell: str, x: Tensor, state: tuple[Tensor, ...], w: dict[str, Tensor]) -> Any:
    read = w["weight_ih"] @ x + w["bias_ih"]
    kept = w["weight_hh"] @ state[0] + w["bias_hh"]
    if cell == "lstm":
        i, f, g, o = (read + kept).chunk(4)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    if cell == "gru":
        (r, z, n), (r_h, z_h, n_h) = read.chunk(3), kept.chunk(3)
        r, z = (r + r_h).sigmoid(), (z + z_h).sigmoid()
        return ((1 - z) * (n + r * n_h).tanh() + z * state[0],)
    return ((read + kept).relu() if cell == "relu" else (read + kept).tanh(),)


def by_hand(module: Recurrent, x_TD: Tensor) -> Tensor:
    """What the block should give for a document alone."""
    spec, rnn = module.spec, module.rnn
    cell = "relu" if spec.activation == "relu" else spec.cell
    ends: list[Tensor] = []
    for layer in range(spec.depth):
        ways, ends = [], []
        for way in ("", "_reverse")[: 1 + spec.bidirectional]:
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            nothing = torch.zeros(1, dtype=torch.float64)
            w = {n: getattr(rnn, f"{n}_l{layer}{way}", nothing) for n in names}
            zeros = torch.zeros(spec.width, dtype=torch.float64)
            state: Any = (zeros, zeros)
            states = []
            for x in x_TD.flip(0) if way else x_TD:
                state = cell_step(cell, x, state, w)
                states.append(state[0])
            ends.append(states[-1])
            ways.append(torch.stack(states[::-1] if way else states))
        x_TD = torch.cat(ways, 1)
    return torch.cat(ends) if spec.gives == "last" else x_TD


@pytest.mark.parametrize("settings", CASES)
def test_it_is_the_plain_loop(settings: dict[str, Any]) -> None:
    module = block(spec_of(**settings))
    for part in documents([1, 7]):
        wanted = by_hand(recurrent_in(module), part)
        torch.testing.assert_close(module(part[None])[0], wanted, rtol=0, atol=1e-12)


def test_gates_in_another_order_are_caught() -> None:
    module = block(spec_of())
    (part,) = documents([7])
    wanted = by_hand(recurrent_in(module), part)
    rnn = recurrent_in(module).rnn
    with torch.no_grad():
        i, f, g, o = rnn.weight_hh_l0.chunk(4)
        rnn.weight_hh_l0.copy_(torch.cat([f, i, g, o]))
    assert (module(part[None])[0] - wanted).abs().max() > 1e-3


# Documents.


@pytest.mark.parametrize("settings", CASES)
def test_documents_do_not_see_each_other(settings: dict[str, Any]) -> None:
    module = block(spec_of(**settings))
    assert differs(module) == {}
    assert padding_gets_no_gradient(module)


@pytest.mark.parametrize("settings", [{}, {"bidirectional": True}, {"cell": "gru", "depth": 2}])
def test_documents_in_many_stretches(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the cost of a call at zero, each length is a stretch of its own."""
    counted = []

    def every_end(lengths: tuple[int, ...]) -> Any:
        found = as_rows_end(lengths, call_positions=0)
        counted.append(len(found))
        return found

    monkeypatch.setattr(recurrent, "as_rows_end", every_end)
    assert differs(block(spec_of(**settings))) == {}
    assert set(counted) == {len(set(LENGTHS))}


@pytest.mark.parametrize("settings", CASES)
def test_kernels_that_know_of_lengths_give_the_same(settings: dict[str, Any]) -> None:
    """What a GPU runs, here on the CPU."""
    module = recurrent_in(block(spec_of(**settings)))
    layout = Layout.packed(LENGTHS).longest_first
    x_NLD = layout.documents_apart(rows_of(documents(), Layout.packed(LENGTHS)))
    one = module._packed(x_NLD, layout.lengths)
    other = module._apart(x_NLD, layout.lengths)
    present = layout.present_NL[..., None]
    torch.testing.assert_close(one * present, other * present, rtol=0, atol=1e-12)


def test_a_state_that_runs_on_into_the_next_document_is_caught() -> None:
    module = block(spec_of())

    class Running(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return module(x)

    assert set(differs(Running())) == {"packed", "padded left", "several a row"}


def test_a_way_back_that_begins_in_the_padding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        recurrent,
        "_backwards",
        lambda lengths, device: (
            torch.arange(max(lengths)).flip(0).repeat(len(lengths))
            + torch.arange(len(lengths)).repeat_interleave(max(lengths)) * max(lengths)
        ),
    )
    assert set(differs(block(spec_of(bidirectional=True)))) == set(layouts())


def test_dropout_between_the_layers_alone() -> None:
    """Both ways to run them leave out values, and only between layers."""
    for depth, moves in ((1, False), (2, True)):
        settings = {"dropout": 0.5} if depth > 1 else {}
        module = block(spec_of(depth=depth, bidirectional=True, **settings)).train()
        parts, layout = documents(), Layout.packed(LENGTHS)
        one, other = (torch.cat(outputs_of(module, parts, layout)) for _ in range(2))
        assert torch.equal(one, other) != moves
        one, other = (module(parts[1][None]) for _ in range(2))
        assert torch.equal(one, other) != moves


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("both", [False, True])
def test_in_the_precisions_of_training(cell: str, both: bool) -> None:
    """oneDNN's kernels run in these alone, forwards and backwards."""
    lengths = (60, 3, 41, 8, 8, 17, 30, 1)
    spec = RecurrentSpec(cell=cell, width=24, depth=2, bidirectional=both)
    exact = block(spec, 16)
    single = block(spec, 16).float()
    layout = Layout.packed(lengths)
    parts = documents(lengths, 16)
    wanted = torch.cat(outputs_of(exact, parts, layout))
    weights = list(exact.parameters())
    slopes = torch.autograd.grad(wanted.square().sum(), weights)
    for kind, bound in ((torch.float32, 1e-5), (torch.bfloat16, 0.03)):
        with torch.autocast("cpu", torch.bfloat16, enabled=kind is torch.bfloat16):
            got = torch.cat(outputs_of(single, [part.float() for part in parts], layout))
        assert far(got, wanted) < bound
        ours = torch.autograd.grad(got.float().square().sum(), list(single.parameters()))
        assert max(far(one, other) for one, other in zip(ours, slopes, strict=True)) < bound


def far(one: Tensor, other: Tensor) -> float:
    return float(((one.double() - other).norm() / other.norm()).detach())


def test_a_network_in_bfloat16_reads_what_layers_before_it_give() -> None:
    layers = [{"kind": "dense", "width": 8}, {"kind": "recurrent", "cell": "gru", "width": 8}]
    network = build(parse(LayersSpec, {"layers": layers}), Signal.of((6, 4)))
    materialize(network, seed=0, spec=InitializeSpec())
    with torch.autocast("cpu", torch.bfloat16):
        y = network(torch.randn(3, 6, 4))
    assert bool(torch.isfinite(y).all())


# Step by step.


@pytest.mark.parametrize("settings", [{**cell, "depth": d} for cell in CELLS for d in (1, 2)])
def test_piece_by_piece_is_the_whole(settings: dict[str, Any]) -> None:
    module = block(spec_of(**settings))
    assert stepwise_differs(module) < 1e-12
    assert stepwise_differs(module, begins=(0, 0), pieces=(1, 1, 6, 1)) < 1e-12
    assert stepwise_differs(module, begins=(2, 6, 8, 3), pieces=(1, 1, 3, 4, 3)) < 1e-12


def test_a_state_that_padding_disturbs_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        recurrent, "as_rows_begin", lambda begins, stop: [Stretch(0, stop, len(begins))]
    )
    assert stepwise_differs(block(spec_of())) > 1e-3


def test_a_state_that_is_forgotten_is_caught() -> None:
    module = block(spec_of())
    assert stepwise_differs(module, change=lambda state: replace(state, blocks={})) > 1e-3


def test_a_row_that_has_not_begun_keeps_zeros_and_rows_come_first() -> None:
    module = block(spec_of(depth=2))
    stream = Stream(state=State(capacity=9, begins=(0, 4)))
    module(documents([3])[0].repeat(2, 1, 1), stream)
    (states,) = stream.handed_on.values()
    assert [tuple(part.shape) for part in states] == [(2, 2, 5), (2, 2, 5)]
    assert all(bool(part[0].any()) and not bool(part[1].any()) for part in states)


def test_it_does_not_see_the_future() -> None:
    assert not sees_the_future(block(spec_of(depth=2)))
    assert sees_the_future(block(spec_of(bidirectional=True)))


def test_both_ways_cannot_go_on_from_a_state() -> None:
    module = block(spec_of(bidirectional=True))
    with pytest.raises(ShapeError) as caught:
        module(torch.zeros(1, 3, WIDTH, dtype=torch.float64), Stream(state=State(capacity=9)))
    assert str(caught.value) == (
        "layers[0]: recurrent reads both ways, so it cannot read a text step by step; leave out "
        "bidirectional"
    )


# Counted on the meta device.


@pytest.mark.parametrize("settings", CASES)
def test_it_is_counted_as_the_kernels_of_torch(settings: dict[str, Any]) -> None:
    chain = Chain((spec_of(**settings),), Signal.of((9, WIDTH)), "layers")
    module = recurrent_in(chain)
    flops, kept_bytes = counted(module)
    own = counted(module.rnn)
    assert flops == own[0]
    assert kept_bytes == pytest.approx(own[1], rel=0.3)


def counted(module: nn.Module) -> tuple[int, int]:
    """FLOPs, and the bytes kept for the backward pass."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    x = torch.zeros((2, 9, WIDTH), device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(x)
    weights = {parameter.untyped_storage()._cdata for parameter in module.parameters()}
    sizes = [t.untyped_storage().nbytes() for key, t in kept.items() if key not in weights]
    return counter.get_total_flops(), sum(sizes)


def test_a_long_text_is_measured_at_once() -> None:
    """Step by step, torch's kernels would take longer than a training step to tell a shape."""
    calls = 0

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal calls
            calls += 1
            return func(*args, **(kwargs or {}))

    with Counting():
        Chain((spec_of(depth=2),), Signal.of((4096, WIDTH)), "layers")
    assert calls < 500


# First weights, learning, settings.


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("scheme", ["torch", "glorot_uniform", "kaiming_normal", "normal"])
def test_first_weights(cell: str, scheme: Scheme) -> None:
    width = 64
    spec = RecurrentSpec(cell=cell, width=width)
    chain = Chain((spec,), Signal.of((5, 96)), "layers")
    materialize(chain, seed=0, spec=InitializeSpec(scheme=scheme))
    rnn = recurrent_in(chain).rnn
    rest = torch.cat([rnn.bias_ih_l0, rnn.bias_hh_l0]).detach()
    if cell == "lstm":
        assert float(rest[width : 2 * width].mean()) == pytest.approx(1, abs=0.05)
        rest[width : 2 * width] = 0
    if scheme == "torch":
        bound = width**-0.5
        for drawn in (rnn.weight_ih_l0, rnn.weight_hh_l0, rest):
            assert 0.9 * bound < float(drawn.abs().max()) <= bound
        return
    assert not rest.any()
    product = rnn.weight_hh_l0.T @ rnn.weight_hh_l0
    torch.testing.assert_close(product, torch.eye(width), rtol=0, atol=1e-5)
    variance = {
        "glorot_uniform": 2 / (96 + rnn.weight_ih_l0.shape[0]),
        "kaiming_normal": 2 / 96,
        "normal": 0.02**2,
    }[scheme]
    assert float(rnn.weight_ih_l0.var()) == pytest.approx(variance, rel=0.06)


def test_the_forget_bias_is_a_setting() -> None:
    module = recurrent_in(block(spec_of(forget_bias=3.0)))
    same = recurrent_in(block(spec_of(forget_bias=0.0)))
    assert isinstance(module.rnn, Lstm)
    moved = module.rnn.bias_ih_l0 - same.rnn.bias_ih_l0
    assert moved.tolist() == pytest.approx([0] * 5 + [3] * 5 + [0] * 10, abs=1e-6)


def test_torch_reads_its_weights() -> None:
    """The names are those of torch's modules: what others have trained fits."""
    module = recurrent_in(block(spec_of(depth=2, bidirectional=True)))
    theirs = nn.LSTM(WIDTH, 5, 2, bidirectional=True, batch_first=True).double()
    theirs.load_state_dict(module.rnn.state_dict())
    x = torch.randn(3, 6, WIDTH, dtype=torch.float64)
    assert torch.equal(theirs(x)[0], module(x))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_it_learns_by_heart(cell: str) -> None:
    assert overfits(RecurrentSpec(cell=cell, width=12), nn.Linear(12, 4)) < 0.02
    assert (
        overfits(
            RecurrentSpec(cell=cell, width=6, gives="last", bidirectional=True), nn.Linear(12, 4)
        )
        < 0.02
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"activation": "relu"}, "activation belongs to cell: rnn, not to cell: lstm; leave it"),
        ({"cell": "gru", "forget_bias": 1.0}, "forget_bias belongs to cell: lstm with a bias, not"),
        ({"bias": False, "forget_bias": 1.0}, "not to cell: lstm, bias: false; leave it out"),
        ({"dropout": 0.1}, "dropout belongs to depth: 2 or more, not to depth: 1; leave it out"),
        ({"cell": "lstn"}, 'cell: got "lstn", wanted "lstm" or "gru" or "rnn"'),
        ({"depth": 0}, "depth: got 0, wanted at least 1"),
    ],
)
def test_bad_settings(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(**data)
    assert message in str(caught.value)


def test_what_it_cannot_read() -> None:
    with pytest.raises(ShapeError) as caught:
        Chain((spec_of(gives="last"), spec_of()), Signal.of((5, 4)), "model.layers")
    assert str(caught.value) == (
        "model.layers[1]: recurrent reads a sequence, but gets a vector (5) from recurrent; leave "
        "out what pools or flattens it"
    )
