"""Small networks of every kind, in float64 with weights that are far from their first ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse

VOCAB = 23

KINDS: dict[str, tuple[Signal, list[dict[str, Any]]]] = {
    "dense": (
        Signal.of((12,)),
        [{"kind": "dense", "width": 16, "norm": "batch", "activation": "tanh"}] * 2,
    ),
    "convnet": (
        Signal.of((3, 8, 8)),
        [
            {"kind": "conv", "channels": 8, "kernel": 3, "norm": "batch", "activation": "relu"},
            {"kind": "conv", "channels": 8, "kernel": 3, "groups": 2, "activation": "relu"},
            {"kind": "max_pool", "size": 2},
            {"kind": "flatten"},
            {"kind": "dense", "width": 12},
        ],
    ),
    "larger images": (
        Signal.of((4, 5, 5)),
        [
            {"kind": "conv_transpose", "channels": 8, "kernel": 3, "stride": 2, "groups": 2},
            {"kind": "conv_transpose", "channels": 4, "kernel": 2, "extra": 1, "stride": 2},
        ],
    ),
    "longer texts": (
        Signal.tokens(5, VOCAB),
        [
            {"kind": "tokens", "width": 8},
            {"kind": "conv_transpose", "channels": 8, "kernel": 3, "stride": 2, "norm": "layer"},
        ],
    ),
    "conv over time": (
        Signal.tokens(9, VOCAB),
        [
            {"kind": "tokens", "width": 8},
            {"kind": "conv", "channels": 10, "kernel": 3, "padding": "causal"},
        ],
    ),
    "transformer": (
        Signal.tokens(9, VOCAB),
        [
            {"kind": "tokens", "width": 16},
            {
                "kind": "repeat",
                "times": 2,
                "layers": [
                    {"kind": "attention", "heads": 4, "kv_heads": 2, "position": "rotary"},
                    {"kind": "mlp", "gated": True},
                ],
            },
            {"kind": "rms_norm"},
        ],
    ),
    "experts": (
        Signal.tokens(9, VOCAB),
        [{"kind": "tokens", "width": 8}, {"kind": "moe", "experts": 4, "balance": 0.0}],
    ),
    "lstm": (
        Signal.tokens(9, VOCAB),
        [
            {"kind": "tokens", "width": 8},
            {"kind": "recurrent", "cell": "lstm", "width": 6, "depth": 2, "bidirectional": True},
        ],
    ),
    "gru": (
        Signal.tokens(9, VOCAB),
        [{"kind": "tokens", "width": 8}, {"kind": "recurrent", "cell": "gru", "width": 6}],
    ),
    "rnn": (
        Signal.tokens(9, VOCAB),
        [{"kind": "tokens", "width": 8}, {"kind": "recurrent", "cell": "rnn", "width": 6}],
    ),
    "linear recurrence": (
        Signal.tokens(9, VOCAB),
        [{"kind": "tokens", "width": 8}, {"kind": "linear_recurrence", "width": 8}],
    ),
}


def network(kind: str, *, head: str | dict[str, Any] = "auto") -> Network:
    """The network, in evaluation mode."""
    reads, layers = KINDS[kind]
    return made(layers, reads, head)


def made(layers: list[dict[str, Any]], reads: Signal, head: str | dict[str, Any]) -> Network:
    """A network of `layers` with a head of scores, if it reads tokens and `head` is not auto."""
    spec = parse(LayersSpec, {"layers": layers, "head": head})
    blocks = () if head == "auto" else (UnembedSpec(vocab=VOCAB),)
    found = build(spec, reads, blocks)
    materialize(found, seed=3, spec=InitializeSpec(), dtype=torch.float64)
    moved(found)
    for name, buffer in found.named_buffers():
        if name.endswith("running_mean"):
            buffer += 0.1
    return found.eval()


def moved(module: nn.Module, seed: int = 5) -> None:
    """Moves every weight that trains, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            if weight.requires_grad:
                weight += 0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)


def inputs(network: Network, rows: int = 5) -> Tensor:
    """What it reads."""
    generator = torch.Generator().manual_seed(7)
    shape = (rows, *network.reads.shape)
    if network.reads.form == "tokens":
        return torch.randint(VOCAB, shape, generator=generator)
    return torch.randn(shape, generator=generator, dtype=torch.float64)
