"""What holds for every block of the union `Block`.

A new block needs an entry in `EXAMPLES`, and nothing else here.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks import Block
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import plain
from luthier.yaml_source import read_yaml, write_yaml

IMAGE = Signal.of((4, 9, 7))
SEQUENCE = Signal.of((11, 4))
VECTOR = Signal.of((12,))
TOKENS = Signal.tokens(11, vocab=23)
EVERY = (IMAGE, SEQUENCE, VECTOR)
WIDE = (IMAGE, SEQUENCE)

CONV = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "same", "norm": "batch"}
DENSE = {"kind": "dense", "width": 4}

EXAMPLES: dict[str, list[tuple[dict[str, Any], tuple[Signal, ...]]]] = {
    "activation": [
        ({"name": "relu"}, EVERY),
        ({"name": "prelu"}, EVERY),
        ({"name": "gelu_tanh"}, EVERY),
        ({"name": "leaky_relu", "slope": 0.3}, EVERY),
    ],
    "adaptive_pool": [({"size": 3}, WIDE), ({"size": [2, 5]}, (IMAGE,))],
    "average_pool": [({"size": 2}, WIDE), ({"size": 3, "stride": 1, "padding": 1}, WIDE)],
    "batch_norm": [({}, EVERY), ({"momentum": 0.01, "epsilon": 1e-3}, EVERY)],
    "conv": [
        ({"channels": 6, "kernel": 3}, WIDE),
        ({"channels": 6, "kernel": 4, "padding": "same", "stride": 2, "activation": "mish"}, WIDE),
        ({"channels": 8, "kernel": 3, "dilation": 2, "padding": 1, "groups": 2}, WIDE),
        ({"channels": 8, "kernel": 3, "groups": "depthwise", "norm": "batch"}, WIDE),
        ({"channels": 6, "kernel": 1, "norm": "layer", "bias": True}, WIDE),
        ({"channels": 6, "kernel": 1, "norm": "rms"}, WIDE),
        ({"channels": 32, "kernel": 1, "norm": "group", "bias": "auto"}, WIDE),
        ({"channels": 6, "kernel": [3, 1], "stride": [1, 2], "padding": [1, 0]}, (IMAGE,)),
    ],
    "conv_transpose": [
        ({"channels": 6, "kernel": 3}, WIDE),
        ({"channels": 6, "kernel": 3, "stride": 2, "padding": "same", "norm": "batch"}, WIDE),
        ({"channels": 8, "kernel": 3, "stride": 2, "padding": 1, "extra": 1, "groups": 4}, WIDE),
        ({"channels": 4, "kernel": 2, "groups": "depthwise", "activation": "relu"}, WIDE),
    ],
    "dense": [
        ({"width": 5}, (SEQUENCE, VECTOR)),
        ({"width": 5, "norm": "batch", "activation": "tanh"}, (SEQUENCE, VECTOR)),
        ({"width": 5, "norm": "rms", "bias": False}, (SEQUENCE, VECTOR)),
    ],
    "drop_path": [({"rate": 0.5}, EVERY)],
    "dropout": [({"rate": 0.5}, EVERY)],
    "flatten": [({}, WIDE)],
    "global_pool": [({}, WIDE), ({"reduce": "max"}, WIDE)],
    "group_norm": [({"groups": 2}, EVERY)],
    "layer_norm": [({}, EVERY)],
    "max_pool": [({"size": 2}, WIDE), ({"size": 3, "stride": 2, "padding": 1}, WIDE)],
    "parallel": [
        ({"branches": [[], [CONV]]}, WIDE),
        ({"join": "add", "branches": [[], [CONV], [CONV, CONV]]}, WIDE),
        ({"branches": [[DENSE], [DENSE, DENSE]]}, (SEQUENCE, VECTOR)),
    ],
    "repeat": [
        ({"times": 3, "layers": [CONV]}, WIDE),
        ({"times": 2, "layers": [CONV], "first": {"layers.0.stride": 2}}, WIDE),
    ],
    "residual": [
        ({"layers": [CONV, CONV], "activation": "relu"}, WIDE),
        ({"layers": [{**CONV, "channels": 6, "stride": 2}], "drop_path": 0.25}, WIDE),
        ({"layers": [{**CONV, "channels": 7, "stride": 2}], "shortcut": "pad"}, WIDE),
        ({"layers": [{**CONV, "channels": 6}], "projection_norm": "none"}, WIDE),
        ({"layers": [DENSE, DENSE], "projection_norm": "none"}, (SEQUENCE, VECTOR)),
        ({"layers": [{**DENSE, "width": 15}], "shortcut": "pad"}, (SEQUENCE, VECTOR)),
    ],
    "rms_norm": [({}, EVERY)],
    "tokens": [
        ({"width": 6}, (TOKENS,)),
        ({"width": 6, "position": "learned", "scale": "sqrt_width", "norm": "layer"}, (TOKENS,)),
        ({"width": 7, "position": "sinusoidal", "dropout": 0.1}, (TOKENS,)),
    ],
    "unembed": [
        ({"vocab": 9}, (SEQUENCE,)),
        ({"vocab": 9, "bias": True, "softcap": 5.0}, (SEQUENCE,)),
    ],
    "upsample": [({"factor": 2}, WIDE), ({"factor": 3, "mode": "linear"}, WIDE)],
}
CASES = [
    pytest.param({"kind": kind, **settings}, signal, id=f"{kind}-{number}-{signal.form}")
    for kind, examples in EXAMPLES.items()
    for number, (settings, signals) in enumerate(examples)
    for signal in signals
]


def block_of(data: dict[str, Any]) -> BlockSpec:
    spec: BlockSpec = TypeAdapter(Block).validate_python(data)
    return spec


def chain_of(spec: BlockSpec, reads: Signal) -> Chain:
    """The block alone, with weights of float64."""
    chain = Chain((spec,), reads, "model.layers")
    materialize(chain, seed=3, spec=InitializeSpec(), dtype=torch.float64)
    return chain


def inputs(reads: Signal, rows: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(11)
    if reads.form == "tokens":
        return torch.randint(reads.vocab, (rows, *reads.shape), generator=generator)
    return torch.randn((rows, *reads.shape), dtype=torch.float64, generator=generator)


# The contract: each part says what is wrong, and nothing where all is well.


def shape_faults(chain: Chain) -> list[str]:
    x, faults = inputs(chain.reads), []
    for training in (True, False):
        y = chain.train(training)(x)
        if tuple(y.shape) != (len(x), *chain.gives.shape):
            faults.append(f"gives {tuple(y.shape)}, measured {chain.gives}")
        if not bool(torch.isfinite(y).all()):
            faults.append("gives what is not finite")
    return faults


def gradient_faults(chain: Chain) -> list[str]:
    torch.manual_seed(5)  # one in which neither dropout nor drop path leaves out everything
    x = inputs(chain.reads, rows=8)
    x = x.requires_grad_() if x.is_floating_point() else x
    y = chain.train()(x)
    weights = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    (y * weights).sum().backward()
    tensors = dict(chain.named_parameters())
    if x.is_floating_point():
        tensors["the input"] = x
    return [
        name
        for name, tensor in tensors.items()
        if tensor.grad is None
        or not bool(torch.isfinite(tensor.grad).all())
        or not bool(tensor.grad.any())
    ]


def evaluation_faults(chain: Chain) -> list[str]:
    """In evaluation, a row's output is a function of the row."""
    x = inputs(chain.reads, rows=5)
    chain.eval()
    whole, alone = chain(x), chain(x[2:3])
    faults = [] if torch.equal(whole, chain(x)) else ["differs from run to run"]
    if not torch.allclose(whole[2:3], alone, rtol=1e-12, atol=1e-12):
        faults.append("depends on the other rows")
    return faults


def trip_faults(spec: BlockSpec) -> list[str]:
    """Spec → YAML → spec."""
    text = write_yaml(plain(spec))
    back = block_of(read_yaml(text, "test").data)
    return [] if back == spec else [f"became {back}"]


def test_every_block_has_examples() -> None:
    kinds = {get_args(member.model_fields["kind"].annotation)[0] for member in members()}
    assert kinds == set(EXAMPLES)


def members() -> tuple[type[BlockSpec], ...]:
    found: tuple[type[BlockSpec], ...] = get_args(get_args(Block)[0])
    return found


@pytest.mark.parametrize("member", members(), ids=lambda member: member.__name__)
def test_every_setting_is_explained_and_in_an_example(member: type[BlockSpec]) -> None:
    kind = get_args(member.model_fields["kind"].annotation)[0]
    shown = {key for settings, _ in EXAMPLES[kind] for key in settings}
    for name, field in member.model_fields.items():
        assert name == "kind" or field.description, f"{kind}.{name} has no docstring"
        if field.is_required():
            assert name in shown, f"{kind}.{name}"


@pytest.mark.parametrize(("data", "reads"), CASES)
def test_builds_on_meta_with_the_shape_that_it_has(data: dict[str, Any], reads: Signal) -> None:
    chain = Chain((block_of(data),), reads, "model.layers")
    tensors = (*chain.parameters(), *chain.buffers())
    assert all(tensor.device.type == "meta" for tensor in tensors)
    assert shape_faults(chain_of(block_of(data), reads)) == []


@pytest.mark.parametrize(("data", "reads"), CASES)
def test_gradients_reach_every_parameter(data: dict[str, Any], reads: Signal) -> None:
    assert gradient_faults(chain_of(block_of(data), reads)) == []


@pytest.mark.parametrize(("data", "reads"), CASES)
def test_evaluation_is_a_function_of_the_row(data: dict[str, Any], reads: Signal) -> None:
    assert evaluation_faults(chain_of(block_of(data), reads)) == []


@pytest.mark.parametrize(("data", "reads"), CASES)
def test_goes_through_yaml(data: dict[str, Any], reads: Signal) -> None:
    assert trip_faults(block_of(data)) == []


@pytest.mark.parametrize(("data", "reads"), CASES)
def test_channels_last_in_memory_is_the_same(data: dict[str, Any], reads: Signal) -> None:
    if reads.form != "image":
        return
    chain = chain_of(block_of(data), reads).eval()
    x = inputs(reads)
    y = chain(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(y, chain(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("reads", [*EVERY, TOKENS], ids=lambda signal: signal.form)
def test_what_it_cannot_read_is_refused_in_words(kind: str, reads: Signal) -> None:
    """No form makes torch complain instead of us."""
    for settings, signals in EXAMPLES[kind]:
        if reads in signals:
            continue
        with pytest.raises(ShapeError) as caught:
            Chain((block_of({"kind": kind, **settings}),), reads, "model.layers")
        assert str(caught.value).startswith("model.layers[0]")
        assert str(reads) in str(caught.value)


# Broken twins: what the contract is there to catch.


class Cropped(nn.Module):
    """Gives less in evaluation than in training, where it was measured."""

    def forward(self, x: Tensor) -> Tensor:
        return x if self.training else x[:, 1:]


class Detached(nn.Module):
    """Cuts the gradient of one of its weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.linear.weight.detach(), self.linear.bias)


class Centred(nn.Module):
    """Subtracts the mean of the batch, in evaluation too."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True)


class TwinSpec(BlockSpec):
    kind: Literal["twin"] = "twin"
    what: str

    def build(self, signal: Signal) -> nn.Module:
        return {"crop": Cropped(), "detach": Detached(signal.width), "centre": Centred()}[self.what]


def twin(what: str) -> Chain:
    return chain_of(TwinSpec(what=what), VECTOR)


def test_a_shape_that_is_not_the_measured_one_is_caught() -> None:
    assert shape_faults(twin("crop")) == ["gives (3, 11), measured a vector (12)"]


def test_a_weight_without_a_gradient_is_caught() -> None:
    assert gradient_faults(twin("detach")) == ["0.linear.weight"]


def test_a_block_that_looks_at_other_rows_is_caught() -> None:
    assert evaluation_faults(twin("centre")) == ["depends on the other rows"]
    assert evaluation_faults(chain_of(block_of({"kind": "batch_norm"}), VECTOR)) == []


def test_a_setting_that_gets_lost_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.plain", lambda spec: {**plain_of(spec), "activation": "none"})
    spec = block_of({"kind": "dense", "width": 3, "activation": "relu"})
    assert trip_faults(spec)


plain_of = plain
