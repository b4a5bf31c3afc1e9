"""What holds for every block of the union `Block`.

A new block needs an entry in `EXAMPLES`, and nothing else here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
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
from luthier.model.layout import PADDING, Layout, Span
from luthier.model.stream import State, Stream, Streamed
from luthier.signal import Signal
from luthier.spec import plain
from luthier.yaml_source import read_yaml, write_yaml

IMAGE = Signal.of((4, 9, 7))
SEQUENCE = Signal.of((11, 4))
VECTOR = Signal.of((12,))
TOKENS = Signal.tokens(11, vocab=23)
SOURCE_WIDTH = 5
EVERY = (IMAGE, SEQUENCE, VECTOR)
WIDE = (IMAGE, SEQUENCE)

CONV = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "same", "norm": "batch"}
DENSE = {"kind": "dense", "width": 4}
ATTENTION = {"kind": "attention", "heads": 2, "kv_heads": 1, "position": "rotary"}
MLP = {"kind": "mlp", "gated": True}
TIME_DENSE = {"kind": "time_dense", "steps": 5}

TINY_BERT = {
    "model_type": "bert",
    "vocab_size": 23,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 11,
    "type_vocab_size": 1,
    "hidden_act": "gelu_new",
}

EXAMPLES: dict[str, list[tuple[dict[str, Any], tuple[Signal, ...]]]] = {
    "activation": [
        ({"name": "relu"}, EVERY),
        ({"name": "prelu"}, EVERY),
        ({"name": "gelu_tanh"}, EVERY),
        ({"name": "leaky_relu", "slope": 0.3}, EVERY),
    ],
    "adaptive_pool": [({"size": 3}, WIDE), ({"size": [2, 5]}, (IMAGE,))],
    "attention": [
        ({"heads": 2}, (SEQUENCE,)),
        ({"heads": 4, "kv_heads": 2, "head_width": 6, "position": "rotary"}, (SEQUENCE,)),
        ({"heads": 2, "kv_heads": 1, "position": "alibi", "window": 3, "bias": True}, (SEQUENCE,)),
        ({"heads": 2, "position": "relative", "norm": "layer", "norm_place": "post"}, (SEQUENCE,)),
        ({"heads": 2, "position": "relative", "causal": False, "relative_reach": 9}, (SEQUENCE,)),
        ({"heads": 2, "causal": False, "window": 3, "position": "alibi"}, (SEQUENCE,)),
        ({"heads": 2, "position": "rotary", "window": 2, "softcap": 3.0}, (SEQUENCE,)),
        (
            {
                "heads": 2,
                "head_width": 8,
                "position": "rotary",
                "rotary_base": 100.0,
                "rotary_share": 0.5,
                "rotary_scaling": {"kind": "llama3", "trained_context": 8},
                "qk_norm": "rms",
                "norm_place": "both",
                "norm_epsilon": 1e-3,
                "bias": "qkv",
            },
            (SEQUENCE,),
        ),
        (
            {
                "heads": 2,
                "position": "rotary",
                "rotary_scaling": {"kind": "linear", "factor": 4.0},
                "qk_norm": "layer",
                "norm": "layer",
                "norm_bias": False,
                "scale": 0.7,
                "attention_dropout": 0.2,
                "drop_path": 0.2,
            },
            (SEQUENCE,),
        ),
        ({"heads": 1, "residual": False, "norm": "none"}, (SEQUENCE,)),
    ],
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
        ({"channels": 6, "kernel": 3, "dilation": 2, "padding": "causal"}, (SEQUENCE,)),
    ],
    "conv_transpose": [
        ({"channels": 6, "kernel": 3}, WIDE),
        ({"channels": 6, "kernel": 3, "stride": 2, "padding": "same", "norm": "batch"}, WIDE),
        ({"channels": 8, "kernel": 3, "stride": 2, "padding": 1, "extra": 1, "groups": 4}, WIDE),
        ({"channels": 4, "kernel": 2, "groups": "depthwise", "activation": "relu"}, WIDE),
    ],
    "cross_attention": [
        ({"heads": 2, "bias": True, "source_width": SOURCE_WIDTH}, (SEQUENCE,)),
        (
            {
                "heads": 2,
                "kv_heads": 1,
                "head_width": 3,
                "scale": 1.0,
                "attention_dropout": 0.1,
                "source_width": SOURCE_WIDTH,
            },
            (SEQUENCE,),
        ),
    ],
    "crf": [({}, (SEQUENCE,))],
    "decompose": [
        ({"window": 3}, (SEQUENCE,)),
        ({"window": 4, "trend": [DENSE], "season": [DENSE]}, (SEQUENCE,)),
        ({"trend": [TIME_DENSE], "season": [TIME_DENSE]}, (SEQUENCE,)),
    ],
    "dense": [
        ({"width": 5}, (SEQUENCE, VECTOR)),
        ({"width": 5, "norm": "batch", "activation": "tanh"}, (SEQUENCE, VECTOR)),
        ({"width": 5, "norm": "rms", "bias": False}, (SEQUENCE, VECTOR)),
    ],
    "drop_path": [({"rate": 0.5}, EVERY)],
    "dropout": [({"rate": 0.5}, EVERY)],
    "each_channel": [
        ({"layers": [DENSE]}, (SEQUENCE,)),
        ({"layers": [{"kind": "flatten"}, DENSE]}, (SEQUENCE,)),
    ],
    "flatten": [({}, WIDE)],
    "gated_conv": [
        ({"kernel": 3}, (SEQUENCE,)),
        ({"kernel": 5, "inner_norm": "layer", "bias": False, "norm": "layer"}, (SEQUENCE,)),
        ({"kernel": 4, "causal": True, "inner_norm": "none", "activation": "relu"}, (SEQUENCE,)),
    ],
    "global_pool": [
        ({}, WIDE),
        ({"reduce": "max"}, WIDE),
        ({"reduce": "first"}, (SEQUENCE,)),
        ({"reduce": "last"}, (SEQUENCE,)),
    ],
    "group_norm": [({"groups": 2}, EVERY)],
    "layer_norm": [({}, EVERY)],
    "linear_recurrence": [
        ({}, (SEQUENCE,)),
        ({"width": 6, "kernel": 1, "activation": "silu", "norm": "layer"}, (SEQUENCE,)),
        ({"gated": False, "bias": False, "norm_place": "both", "drop_path": 0.1}, (SEQUENCE,)),
    ],
    "max_pool": [({"size": 2}, WIDE), ({"size": 3, "stride": 2, "padding": 1}, WIDE)],
    "mlp": [
        ({}, (SEQUENCE, VECTOR)),
        ({"width": 5, "bias": True, "activation": "prelu"}, (SEQUENCE, VECTOR)),
        ({"ratio": 2.67, "gated": True, "dropout": 0.1, "drop_path": 0.1}, (SEQUENCE, VECTOR)),
        ({"norm": "layer", "norm_place": "post", "residual_scale": 0.5}, (SEQUENCE, VECTOR)),
    ],
    "moe": [
        ({"experts": 3, "gated": True}, (SEQUENCE,)),
        ({"experts": 4, "active": 1, "normalised": False, "bias": True}, (SEQUENCE,)),
        ({"experts": 3, "active": 3, "shared": 2, "width": 5, "balance": 0.0}, (SEQUENCE,)),
        ({"experts": 5, "active": 2, "ratio": 1.5, "activation": "relu"}, (SEQUENCE,)),
    ],
    "parallel": [
        ({"branches": [[], [CONV]]}, WIDE),
        ({"join": "add", "branches": [[], [CONV], [CONV, CONV]]}, WIDE),
        ({"branches": [[DENSE], [DENSE, DENSE]]}, (SEQUENCE, VECTOR)),
        ({"branches": [[ATTENTION], [MLP]], "join": "add"}, (SEQUENCE,)),
    ],
    "patches": [
        ({"size": 4, "stride": 2, "width": 6}, (SEQUENCE,)),
        ({"size": 3, "stride": 3, "width": 6, "position": "none", "last": "drop"}, (SEQUENCE,)),
    ],
    "places": [({}, (SEQUENCE,))],
    "recurrent": [
        ({"width": 5}, (SEQUENCE,)),
        ({"width": 5, "gives": "last", "bidirectional": True, "depth": 2}, (SEQUENCE,)),
        ({"cell": "gru", "width": 5, "depth": 3, "dropout": 0.2}, (SEQUENCE,)),
        ({"cell": "gru", "width": 5, "bias": False, "bidirectional": True}, (SEQUENCE,)),
        ({"cell": "rnn", "width": 5, "activation": "relu", "gives": "last"}, (SEQUENCE,)),
        ({"cell": "lstm", "width": 5, "forget_bias": 0.0}, (SEQUENCE,)),
    ],
    "repeat": [
        ({"times": 3, "layers": [CONV]}, WIDE),
        ({"times": 2, "layers": [CONV], "first": {"layers.0.stride": 2}}, WIDE),
        ({"times": 2, "layers": [ATTENTION, MLP]}, (SEQUENCE,)),
    ],
    "residual": [
        ({"layers": [CONV, CONV], "activation": "relu"}, WIDE),
        ({"layers": [{**CONV, "channels": 6, "stride": 2}], "drop_path": 0.25}, WIDE),
        ({"layers": [{**CONV, "channels": 7, "stride": 2}], "shortcut": "pad"}, WIDE),
        ({"layers": [{**CONV, "channels": 6}], "projection_norm": "none"}, WIDE),
        ({"layers": [DENSE, DENSE], "projection_norm": "none"}, (SEQUENCE, VECTOR)),
        ({"layers": [{**DENSE, "width": 15}], "shortcut": "pad"}, (SEQUENCE, VECTOR)),
        ({"layers": [{**ATTENTION, "residual": False}], "drop_path": 0.1}, (SEQUENCE,)),
    ],
    "reversible_norm": [
        ({"layers": [DENSE]}, (SEQUENCE,)),
        ({"layers": [{**DENSE, "width": 8}, TIME_DENSE], "epsilon": 1e-3}, (SEQUENCE,)),
        ({"layers": [DENSE], "centre": "last", "scale": False, "learned": False}, (SEQUENCE,)),
    ],
    "rms_norm": [({}, EVERY)],
    "subsample": [
        ({"channels": [3]}, (SEQUENCE,)),
        ({"channels": [3, 4], "strides": [2, 1], "norm": "none", "width": 5}, (SEQUENCE,)),
        (
            {
                "channels": [2, 3],
                "kernel": 5,
                "strides": [1, 3],
                "frequency_strides": [2],
                "activation": "silu",
                "dropout": 0.1,
            },
            (SEQUENCE,),
        ),
    ],
    "steps": [
        ({"count": 11}, (SEQUENCE,)),
        ({"count": 4}, (VECTOR,)),
        ({"count": 1}, (SEQUENCE, VECTOR)),
    ],
    "time_dense": [
        ({"steps": 5}, (SEQUENCE,)),
        ({"steps": 11, "bias": False}, (SEQUENCE,)),
    ],
    "tokens": [
        ({"width": 6}, (TOKENS,)),
        ({"width": 6, "position": "learned", "scale": "sqrt_width", "norm": "layer"}, (TOKENS,)),
        ({"width": 7, "position": "sinusoidal", "dropout": 0.1}, (TOKENS,)),
    ],
    "transformers": [({"config": TINY_BERT}, (TOKENS,))],
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


def sources(rows: int) -> Tensor:
    """What cross-attention reads, for each row."""
    generator = torch.Generator().manual_seed(12)
    shape = (rows, 6, SOURCE_WIDTH)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def whole(rows: int) -> Stream:
    """The stream of whole rows."""
    return Stream(source_BSD=sources(rows))


# The contract: each part says what is wrong, and nothing where all is well.


def shape_faults(chain: Chain) -> list[str]:
    x, faults = inputs(chain.reads), []
    for training in (True, False):
        y = chain.train(training)(x, whole(len(x)))
        if tuple(y.shape) != (len(x), *chain.gives.shape):
            faults.append(f"gives {tuple(y.shape)}, measured {chain.gives}")
        if not bool(torch.isfinite(y).all()):
            faults.append("gives what is not finite")
    return faults


def gradient_faults(chain: Chain) -> list[str]:
    torch.manual_seed(5)  # one in which neither dropout nor drop path leaves out everything
    x = inputs(chain.reads, rows=8)
    x = x.requires_grad_() if x.is_floating_point() else x
    y = chain.train()(x, whole(len(x)))
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
    y, again = chain(x, whole(5)), chain(x, whole(5))
    alone = chain(x[2:3], Stream(source_BSD=sources(5)[2:3]))
    faults = [] if torch.equal(y, again) else ["differs from run to run"]
    if not torch.allclose(y[2:3], alone, rtol=1e-12, atol=1e-12):
        faults.append("depends on the other rows")
    return faults


def document_faults(chain: Chain) -> list[str]:
    """However documents are laid out, each is read as if it were alone, forwards and backwards."""
    documents = texts(chain.reads)
    want = [
        read(chain, document[None], Stream(source_BSD=source[None]), lambda y: y[0])
        for document, source in zip(documents, sources(len(LENGTHS)), strict=True)
    ]
    faults = []
    for name, layout in LAYOUTS.items():
        x = laid_out(documents, layout)
        stream = Stream(layout=layout, source_BSD=sources(len(LENGTHS)))
        where = layout_behind(chain, x, layout)
        got = read(chain, x, stream, lambda y, where=where: torch.cat(taken(y, where)))
        if not same(got[0], torch.cat([y for y, _, _ in want])):
            faults.append(f"{name}: other outputs")
        if x.is_floating_point() and not same(
            torch.cat(taken(got[1], layout)), torch.cat([x[0] for _, x, _ in want])
        ):
            faults.append(f"{name}: other gradients of the input")
        if not all(
            same(one, sum(each)) for one, *each in zip(got[2], *(g for *_, g in want), strict=True)
        ):
            faults.append(f"{name}: other gradients of the weights")
        stream = Stream(layout=layout, source_BSD=sources(len(LENGTHS)))
        if where == layout:
            faults += [f"{name}: {fault}" for fault in padding_faults(chain, x, stream, layout)]
    return faults


def layout_behind(chain: Chain, x: Tensor, layout: Layout) -> Layout:
    """Where the documents lie in what comes out."""
    stream = Stream(layout=layout, source_BSD=sources(len(LENGTHS)))
    chain.eval()(x, stream)
    assert stream.layout is not None
    return stream.layout


def texts(reads: Signal) -> list[Tensor]:
    """Documents of different lengths."""
    rows = inputs(reads, rows=len(LENGTHS))
    return [row[:length] for row, length in zip(rows, LENGTHS, strict=True)]


def read(
    chain: Chain, x: Tensor, stream: Stream, chosen: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """What comes out, and the gradients of a function of it, with respect to input and weights."""
    x = x.clone().requires_grad_() if x.is_floating_point() else x
    chain.eval().zero_grad()
    y = chosen(chain(x, stream))
    if y.requires_grad:
        (y * (1 + y.detach().cos())).sum().backward()
    gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in chain.parameters()]
    return y.detach(), x if x.grad is None else x.grad, gradients


def padding_faults(chain: Chain, x: Tensor, stream: Stream, layout: Layout) -> list[str]:
    """Padding is finite, and whatever becomes of it has no gradient in a document."""
    x = x.clone().requires_grad_() if x.is_floating_point() else x
    y = chain.eval()(x, stream)
    faults = [] if bool(torch.isfinite(y).all()) else ["gives what is not finite"]
    padding = layout.documents_BT == PADDING
    if x.requires_grad and y.ndim == 3:
        y[padding].sum().backward()
        assert x.grad is not None
        if bool(x.grad[~padding].any()):
            faults.append("the padding has a gradient in a document")
    return faults


LENGTHS = (3, 11, 1, 6)
LAYOUTS = {
    "packed": Layout.packed(LENGTHS),
    "padded right": Layout.padded(LENGTHS, "right"),
    "padded left": Layout.padded(LENGTHS, "left"),
    "rows": Layout.rows_of((LENGTHS[:2], LENGTHS[2:]), time=16),
}


def laid_out(documents: Sequence[Tensor], layout: Layout) -> Tensor:
    """The documents in their places, with something else in the padding."""
    last = documents[1][-1]
    x = (last * 7 if last.is_floating_point() else last).repeat(layout.rows, layout.time, *(
        1 for _ in last.shape
    ))  # fmt: skip
    for span, document in zip(layout.spans, documents, strict=True):
        x[span.row, span.start : span.stop] = document
    return x


def taken(y: Tensor, layout: Layout) -> list[Tensor]:
    """What came out for each document: its positions, or its vector."""
    if y.ndim == 2:
        return list(y)
    return [y[span.row, span.start : span.stop] for span in layout.spans]


def same(one: Tensor, other: Tensor | int) -> bool:
    """Equal but for the rounding of float64."""
    assert isinstance(other, Tensor)
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-10, atol=1e-10)


def sees_later(chain: Chain) -> bool:
    """Whether a position's output depends on a later position."""
    x = inputs(chain.reads, rows=1)
    time = x.shape[1]
    changed = x.repeat(time, *(1 for _ in x.shape[1:]))
    for row in range(time):
        changed[row, row] = (x[0, row] + 1) % 23
    source = sources(1)
    y = chain.eval()(x, Stream(source_BSD=source))
    z = chain(changed, Stream(source_BSD=source.expand(time, -1, -1)))
    return any(not same(z[row, :row], y[0, :row]) for row in range(time))


def step_faults(chain: Chain) -> list[str]:
    """Read piece by piece, with unequal padding at the left too, it gives what it gives at once."""
    rows, begins = 3, (2, 0, 5)
    x = inputs(chain.reads, rows)
    y = chain.eval()(x, whole(rows))
    time = x.shape[1]
    layout = Layout(tuple(Span(n, begin, time) for n, begin in enumerate(begins)), rows, time)
    texts = [row[: time - begin] for row, begin in zip(x, begins, strict=True)]
    pushed = laid_out(texts, layout)
    faults = []
    for pieces in ((time,), (6, *[1] * (time - 6)), (1, 3, 2, time - 6)):
        if not same(decoded(chain, x, pieces, ()), y):
            faults.append(f"pieces of {pieces} differ")
        z = decoded(chain, pushed, pieces, begins)
        if not bool(torch.isfinite(z).all()):
            faults.append("gives what is not finite")
        for row, begin in enumerate(begins):
            if not same(z[row, begin:], y[row, : time - begin]):
                faults.append(f"pieces of {pieces} behind {begin} positions of padding differ")
    return faults


@torch.no_grad()
def decoded(chain: Chain, x: Tensor, pieces: Sequence[int], begins: tuple[int, ...]) -> Tensor:
    """`x` read piece by piece."""
    for name, module in chain.named_modules():
        if isinstance(module, Streamed):
            module.name = f"block.{name}"
    assert sum(pieces) == x.shape[1]
    state, outputs = State(capacity=x.shape[1] + 3, begins=begins), []
    for piece in x.split(list(pieces), 1):
        stream = Stream(state=state, source_BSD=sources(len(x)))
        outputs.append(chain(piece, stream))
        blocks = {**state.blocks, **stream.handed_on}
        state = replace(state, time=state.time + piece.shape[1], blocks=blocks)
    return torch.cat(outputs, 1)


def learning_faults(chain: Chain) -> list[str]:
    """Its own weights, in front of a readout that stays as it is, learn 8 samples by heart."""
    x = inputs(chain.reads, rows=8)
    generator = torch.Generator().manual_seed(2)
    features = math.prod(chain.gives.shape)
    readout = torch.randn(features, dtype=torch.float64, generator=generator) / features**0.5
    target = torch.randn(8, dtype=torch.float64, generator=generator).sign()
    optimizer = torch.optim.Adam(chain.parameters(), lr=0.03)
    chain.eval()  # nothing is left out at random
    for _ in range(LEARNING_STEPS):
        optimizer.zero_grad()
        y = chain(x, whole(8)).flatten(1) @ readout
        loss = (y - target).square().mean()
        if float(loss.detach()) < LEARNED:
            return []
        loss.backward()
        optimizer.step()
    return [f"a loss of {float(loss.detach()):.3f} is left"]


LEARNING_STEPS = 500
LEARNED = 0.01
"""The mean square that is left where the answers are ± 1."""


def learner(kind: str) -> Chain:
    """The largest example of a kind."""
    chains = [
        chain_of(block_of({"kind": kind, **settings}), reads)
        for settings, signals in EXAMPLES[kind]
        for reads in signals
    ]
    return max(chains, key=weights_of)


def weights_of(chain: Chain) -> int:
    return sum(parameter.numel() for parameter in chain.parameters())


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


REFUSES_TEXTS = {
    "adaptive_pool",
    "average_pool",
    "decompose",
    "each_channel",
    "flatten",
    "group_norm",
    "max_pool",
    "patches",
    "reversible_norm",
    "steps",
    "time_dense",
}
"""Kinds that read whole rows alone. Others refuse texts only where they change their positions, or
hold a group norm."""


@pytest.mark.parametrize(("data", "reads"), CASES)
def test_documents_do_not_see_each_other(data: dict[str, Any], reads: Signal) -> None:
    if reads.form not in ("sequence", "tokens"):
        return
    chain = chain_of(block_of(data), reads)
    moves = chain.gives.form == "sequence" and chain.gives.shape[0] != reads.shape[0]
    moves = moves and data["kind"] != "subsample"  # which says where documents lie then
    if moves or data["kind"] in REFUSES_TEXTS or "group" in data.values():
        with pytest.raises(ShapeError, match="of different lengths"):
            chain(laid_out(texts(reads), LAYOUTS["packed"]), Stream(layout=LAYOUTS["packed"]))
    else:
        assert document_faults(chain) == []


@pytest.mark.parametrize(("data", "reads"), CASES)
def test_piece_by_piece_or_not_at_all(data: dict[str, Any], reads: Signal) -> None:
    """What sees no later position can be read step by step; what does see them refuses it."""
    chain = chain_of(block_of(data), reads)
    if reads.form not in ("sequence", "tokens") or chain.gives.shape[:1] != reads.shape[:1]:
        return
    if sees_later(chain) or data["kind"] in REFUSES_TEXTS:
        with pytest.raises(ShapeError, match=r"^model\.layers\[0\].*: .*; "):
            step_faults(chain)
    else:
        assert step_faults(chain) == []


@pytest.mark.parametrize("kind", EXAMPLES)
def test_it_learns_eight_samples_by_heart(kind: str) -> None:
    chain = learner(kind)
    if weights_of(chain) >= FEW_WEIGHTS:
        assert learning_faults(chain) == []


FEW_WEIGHTS = 32
"""With fewer, as norms have here, eight samples cannot be told apart."""


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


class Blended(nn.Module):
    """Adds the mean of all that a row holds up to each position: of other documents too, and
    with a state only of the piece."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x.cumsum(1) / torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]


class Ahead(nn.Module):
    """Adds what comes next."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x.roll(-1, 1)


class Deaf(nn.Module):
    """Many weights, of which only a sum is used."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x * 0 + self.linear.weight.mean() + self.linear.bias.mean()


class Leaky(Streamed):
    """Gives in padding what depends on documents."""

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        if stream is None or stream.layout is None:
            return x
        padding = (stream.layout.documents_BT == PADDING)[..., None]
        return torch.where(padding, x.sum(1, keepdim=True), x)


class Sticky(Streamed):
    """Right forwards; backwards, one document gets the gradient of another."""

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        return x if stream is None or stream.layout is None else x.detach() + x.flip(1) - x.flip(
            1
        ).detach()  # fmt: skip


class TwinSpec(BlockSpec):
    kind: Literal["twin"] = "twin"
    what: str

    def build(self, signal: Signal) -> nn.Module:
        made = {"crop": Cropped, "centre": Centred, "blend": Blended, "ahead": Ahead}
        made |= {"leak": Leaky, "stick": Sticky, "detach": lambda: Detached(signal.width)}
        made |= {"deaf": lambda: Deaf(signal.width)}
        return made[self.what]()


def twin(what: str, reads: Signal = VECTOR) -> Chain:
    return chain_of(TwinSpec(what=what), reads)


def test_a_shape_that_is_not_the_measured_one_is_caught() -> None:
    assert shape_faults(twin("crop")) == ["gives (3, 11), measured a vector (12)"]


def test_a_weight_without_a_gradient_is_caught() -> None:
    assert gradient_faults(twin("detach")) == ["0.linear.weight"]


def test_a_block_that_looks_at_other_rows_is_caught() -> None:
    assert evaluation_faults(twin("centre")) == ["depends on the other rows"]
    assert evaluation_faults(chain_of(block_of({"kind": "batch_norm"}), VECTOR)) == []


def test_a_block_that_looks_at_other_documents_is_caught() -> None:
    faults = document_faults(twin("blend", SEQUENCE))
    assert "packed: other outputs" in faults
    assert "packed: other gradients of the input" in faults
    assert not [fault for fault in faults if fault.startswith("padded right: other")]


def test_padding_that_reaches_a_document_is_caught() -> None:
    faults = document_faults(twin("leak", SEQUENCE))
    assert set(faults) == {
        f"{name}: the padding has a gradient in a document" for name in LAYOUTS if name != "packed"
    }


def test_a_gradient_in_another_document_is_caught() -> None:
    faults = document_faults(twin("stick", SEQUENCE))
    assert "packed: other gradients of the input" in faults
    assert not [fault for fault in faults if fault.endswith("other outputs")]


def test_a_block_that_sees_what_comes_later_is_caught() -> None:
    assert sees_later(twin("ahead", SEQUENCE))
    assert not sees_later(twin("blend", SEQUENCE))


def test_a_block_that_forgets_is_caught() -> None:
    faults = step_faults(twin("blend", SEQUENCE))
    assert "pieces of (11,) differ" not in faults
    assert "pieces of (11,) behind 2 positions of padding differ" in faults
    assert "pieces of (1, 3, 2, 5) differ" in faults


def test_a_block_that_cannot_learn_is_caught() -> None:
    assert learning_faults(chain_of(block_of({"kind": "dense", "width": 5}), VECTOR)) == []
    (fault,) = learning_faults(twin("deaf"))
    assert float(fault.split()[3]) > 0.5


def test_a_setting_that_gets_lost_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.plain", lambda spec: {**plain_of(spec), "activation": "none"})
    spec = block_of({"kind": "dense", "width": 3, "activation": "relu"})
    assert trip_faults(spec)


plain_of = plain
