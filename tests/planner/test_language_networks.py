"""What networks that read texts cost, against the formulas of the field, and how they are drawn.

Attention counts as the full square, causal or not: the convention of PaLM (2204.02311, appendix B).
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from luthier.model.block import BlockSpec
from luthier.model.blocks.attention import AttentionSpec
from luthier.model.blocks.mlp import MlpSpec
from luthier.model.blocks.recurrent import RecurrentSpec
from luthier.model.blocks.tokens import TokensSpec
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.families.catalogue import families
from luthier.planner.caption import details, title
from luthier.planner.count import count
from luthier.planner.drawing import draw
from luthier.signal import Signal
from luthier.spec import parse

T, D, V = 32, 24, 50
TOKENS = {"kind": "tokens", "width": D}


def network(*layers: dict[str, Any]) -> Network:
    spec = parse(LayersSpec, {"layers": [TOKENS, *layers], "head": "none"})
    return build(spec, Signal.tokens(T, V))


def flops(**block: Any) -> int:
    """Of a block, for one text of T tokens."""
    return count(network(block)).rows[1].flops


def attention(heads: int = 4, kv_heads: int = 4, own: int = D // 4) -> int:
    """Four projections, then `q k` and the mean of the values."""
    weights = 2 * D * own * (heads + kv_heads)
    return 2 * T * weights + 4 * T * T * heads * own


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, attention()),
        ({"causal": False}, attention()),
        ({"position": "rotary", "qk_norm": "rms"}, attention()),
        ({"position": "alibi", "norm": "layer", "norm_place": "post"}, attention()),
        ({"softcap": 5.0, "norm_place": "both"}, attention()),
        ({"kv_heads": 2}, attention(kv_heads=2)),
        ({"kv_heads": 1, "head_width": 8}, attention(kv_heads=1, own=8)),
    ],
)
def test_attention(settings: dict[str, Any], wanted: int) -> None:
    assert flops(kind="attention", heads=4, **settings) == wanted


def test_a_window_in_a_long_text_costs_less() -> None:
    """A piece of queries sees itself and the piece before: about two windows."""
    whole, near = flops(kind="attention", heads=4), flops(kind="attention", heads=4, window=5)
    products = near - (whole - 4 * T * T * D)
    assert products == pytest.approx(4 * T * 2 * 4 * D, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "inside", "matrices"),
    [({}, 4 * D, 2), ({"width": 40}, 40, 2), ({"width": 40, "gated": True}, 40, 3)],
)
def test_mlp(settings: dict[str, Any], inside: int, matrices: int) -> None:
    assert flops(kind="mlp", **settings) == 2 * T * matrices * D * inside


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("rnn", 1)])
def test_recurrent(cell: str, gates: int) -> None:
    once = 2 * T * gates * D * (D + D)
    assert flops(kind="recurrent", cell=cell, width=D) == once
    both = flops(kind="recurrent", cell=cell, width=D, depth=2, bidirectional=True)
    assert both == 2 * once + 2 * (2 * T * gates * D * (2 * D + D))


def test_a_tied_head_has_no_weights_but_its_products() -> None:
    spec = parse(LayersSpec, {"layers": [TOKENS], "head": "tied"})
    counts = count(build(spec, Signal.tokens(T, V), (UnembedSpec(vocab=V),)))
    assert [(row.place, row.parameters, row.flops) for row in counts.rows] == [
        ("model.layers[0]", V * D, 0),
        ("model.head[0]", 0, 2 * T * V * D),
    ]
    assert counts.total.parameters == V * D


def test_gpt2_by_the_usual_formula() -> None:
    """2 N a token of the weights in products, 4 T d a layer and token of attention."""
    spec = families()["gpt2"].model_validate({"size": "small"}).design("next_token")
    total = count(build(spec, Signal.tokens(1024, 50257), (UnembedSpec(vocab=50257),))).total
    in_products = 12 * 12 * 768**2 + 50257 * 768
    assert total.flops == 1024 * (2 * in_products + 4 * 1024 * 768 * 12)


def test_the_neck_has_rows() -> None:
    spec = families()["bert"].model_validate({"size": "tiny"}).design("labels")
    counts = count(build(spec, Signal.tokens(16, V)))
    assert [(row.place, row.name, row.module) for row in counts.rows[-3:]] == [
        ("model.neck[0]", "global_pool", "neck.0"),
        ("model.neck[1]", "dense", "neck.1"),
        ("model.neck[2]", "dropout", "neck.2"),
    ]
    outer = [row.parameters for row in counts.rows if row.depth == 0]
    assert sum(outer) == counts.total.parameters == counts.to_json()["parameters"]["total"]


# Drawings.


def drawn(kind: str, **settings: Any) -> tuple[str, list[str]]:
    cls = families()[kind]
    spec = cls.model_validate({"kind": kind, **settings}).design("labels")
    svg = draw(build(spec, Signal.tokens(16, V)))
    return svg, [e.text or "" for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text")]


def test_a_transformer_is_drawn_with_the_way_around_each_half() -> None:
    svg, words = drawn("llama", depth=3)
    for text in ("tokens 16", "tokens 192", "attention", "mlp 512", "× 3", "rms norm", "last"):
        assert text in words, text
    assert words.count("+") == 2
    for colour in ("tokens", "attention", "dense", "norm"):
        assert f'class="box {colour}"' in svg


def test_a_recurrent_network_is_drawn() -> None:
    svg, words = drawn("gru", width=8)
    assert "gru 8" in words
    assert "bidirectional" in words
    assert "+" not in words
    assert 'class="box recurrent"' in svg


OF_SOUNDS = {"conformer", "crnn", "whisper"}
OF_TEXTS = [
    kind
    for kind, family in families().items()
    if family.SHOWN != "forecast" and kind not in OF_SOUNDS
]


@pytest.mark.parametrize("kind", OF_TEXTS)
def test_every_class_has_a_colour_in_both_modes(kind: str) -> None:
    settings = {"depth": 1} if "depth" in families()[kind].model_fields else {}
    svg, _ = drawn(kind, width=16, **settings)
    boxes = set(re.findall(r'class="box (\w+)"', svg))
    assert boxes
    for name in boxes:
        assert svg.count(f".{name}{{") == 2, name


@pytest.mark.parametrize(
    ("spec", "head", "rest"),
    [
        (TokensSpec(width=8, position="learned"), "tokens 8", ["position learned"]),
        (UnembedSpec(vocab=99, tied=True), "unembed 99", ["tied"]),
        (
            AttentionSpec(heads=4, causal=False, norm="layer", norm_place="post", bias=True),
            "attention",
            ["layer norm", "post norm", "heads 4", "sees both ways", "bias"],
        ),
        (
            AttentionSpec(heads=4, position="rotary", rotary_base=5e5, norm_epsilon=1e-5),
            "attention",
            ["heads 4", "position rotary", "rotary base 500,000"],
        ),
        (MlpSpec(width=8, gated=True), "mlp 8", ["gated"]),
        (RecurrentSpec(width=8), "lstm 8", []),
        (RecurrentSpec(cell="gru", width=8, depth=2), "gru 8", ["depth 2"]),
    ],
)
def test_captions(spec: BlockSpec, head: str, rest: list[str]) -> None:
    assert title(spec) == head
    assert details(spec) == rest
