"""The neck, which belongs to a task, and the scores that a head gives to tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.unembed import Unembed, UnembedSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.placement.rewrite import flatten_in_memory_order
from luthier.signal import Signal
from luthier.spec import parse

VOCAB = 11
TOKENS: dict[str, Any] = {"kind": "tokens", "width": 6}
NECK: list[dict[str, Any]] = [{"kind": "global_pool"}, {"kind": "dense", "width": 6}]


def network(*added: BlockSpec, **rest: Any) -> Network:
    spec = parse(LayersSpec, {"layers": [TOKENS], **rest})
    built = build(spec, Signal.tokens(5, VOCAB), added)
    materialize(built, seed=0, spec=spec.initialize, dtype=torch.float64)
    return built.eval()


def test_its_weights_are_named_apart() -> None:
    built = network(DenseSpec(width=3), neck=NECK)
    names = [name for name, _ in built.named_parameters()]
    assert names == [
        "layers.0.table.weight",
        "neck.1.linear.weight",
        "neck.1.linear.bias",
        "head.0.linear.weight",
        "head.0.linear.bias",
    ]
    assert built.gives == Signal.of((3,))
    assert built.features(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 6)


def test_the_head_is_made_for_what_the_neck_gives() -> None:
    seen: list[Signal] = []

    def head(signal: Signal) -> tuple[BlockSpec, ...]:
        seen.append(signal)
        return ()

    build(parse(LayersSpec, {"layers": [TOKENS], "neck": NECK}), Signal.tokens(5, VOCAB), head)
    assert seen == [Signal.of((6,))]


def test_a_neck_that_cannot_read_the_layers() -> None:
    with pytest.raises(ShapeError) as caught:
        network(neck=[{"kind": "max_pool", "size": 9}])
    assert str(caught.value).startswith("model.neck[0]: max_pool")


def test_a_flatten_at_the_end_of_the_layers_belongs_to_the_neck() -> None:
    """The weight whose columns change is the one behind the flatten, not the head's."""
    spec = parse(
        LayersSpec,
        {
            "layers": [{"kind": "conv", "channels": 2, "kernel": 1}, {"kind": "flatten"}],
            "neck": [{"kind": "dense", "width": 8}],
        },
    )
    built = build(spec, Signal.of((1, 2, 2)), (DenseSpec(width=3),))
    materialize(built, seed=0, spec=spec.initialize)
    assert list(flatten_in_memory_order(built)) == ["neck.0.linear.weight"]


@pytest.mark.parametrize(
    ("head", "tied", "bias", "softcap"),
    [
        ("auto", False, False, None),
        ("tied", True, False, None),
        ({"bias": True}, False, True, None),
        ({"tied": True, "softcap": 2.0}, True, False, 2.0),
    ],
)
def test_scores(head: Any, tied: bool, bias: bool, softcap: float | None) -> None:
    built = network(UnembedSpec(vocab=VOCAB), head=head)
    unembed = built.head[0]
    assert isinstance(unembed, Unembed)
    assert (unembed.linear is None) == tied
    assert (unembed.added is not None) == bias
    assert unembed.spec.softcap == softcap
    own = 0 if tied else VOCAB * 6
    count = sum(parameter.numel() for parameter in built.parameters())
    assert count == VOCAB * 6 + own + (VOCAB if bias else 0)


@pytest.mark.parametrize("head", ["tied", {"bias": True}])
def test_scores_of_a_head_that_gives_none(head: Any) -> None:
    with pytest.raises(ShapeError, match=r"model\.head: got .*gives no scores to tokens"):
        network(DenseSpec(width=3), head=head)
