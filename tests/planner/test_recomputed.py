"""What is told of recomputing is what is kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from luthier.model.blocks.dense import DenseSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.placement.recompute import recompute_blocks
from luthier.planner.count import count
from luthier.planner.recomputed import recomputed
from luthier.signal import Signal
from luthier.spec import parse

ROWS, TIME, WIDTH, DEPTH = 2, 6, 8, 3
LAYERS: list[dict[str, Any]] = [
    {"kind": "tokens", "width": WIDTH},
    {
        "kind": "repeat",
        "times": DEPTH,
        "layers": [
            {"kind": "attention", "heads": 2, "norm": "rms"},
            {"kind": "mlp", "norm": "rms"},
        ],
    },
    {"kind": "layer_norm"},
    {"kind": "global_pool"},
]


def network(layers: list[dict[str, Any]] = LAYERS) -> Network:
    page = parse(LayersSpec, {"layers": layers})
    return build(page, Signal.tokens(TIME, vocab=11), (DenseSpec(width=2),))


def test_it_is_what_is_kept() -> None:
    net, kept = network(), dict[int, int]()
    counts = count(net, ROWS)
    told = recomputed(net, counts)
    assert told is not None
    materialize(net, seed=1, spec=InitializeSpec())
    weights = {weight.untyped_storage().data_ptr() for weight in net.parameters()}
    recompute_blocks(net)

    def save(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        y = net.train()(torch.zeros((ROWS, TIME), dtype=torch.int64))
    found = sum(size for place, size in kept.items() if place not in weights)
    assert told.kept_bytes == found
    assert y.requires_grad
    outside = found - DEPTH * 4 * ROWS * TIME * WIDTH
    copy = (counts.total.activation_bytes - outside) // DEPTH
    assert told.most_bytes == told.kept_bytes + copy
    assert told.flops == sum(row.flops for row in counts.rows if "copies" in row.place)
    assert 0.3 < told.share < 1 / 3


def test_nothing_that_repeats() -> None:
    plain = network([LAYERS[0], LAYERS[-1]])
    assert recomputed(plain, count(plain)) is None
