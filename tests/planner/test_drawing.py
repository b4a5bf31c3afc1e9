"""Drawings: well-formed, self-contained, complete."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from torch import Tensor, nn

from luthier.model.block import BlockSpec
from luthier.model.blocks.activation import ActivationSpec
from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.dropout import DropoutSpec
from luthier.model.blocks.pool import GlobalPoolSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.planner.caption import amount, details, title
from luthier.planner.drawing import draw
from luthier.signal import Signal
from luthier.spec import parse

SVG = "{http://www.w3.org/2000/svg}"
READS = Signal.of((3, 32, 32))
CONV = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "same", "norm": "batch"}
RESIDUAL = {"kind": "residual", "layers": [CONV, CONV], "activation": "relu", "drop_path": 0.1}
LAYERS: list[dict[str, Any]] = [
    CONV,
    {"kind": "repeat", "times": 4, "first": {"layers.0.layers.0.stride": 2}, "layers": [RESIDUAL]},
    {"kind": "parallel", "branches": [[], [CONV], [CONV, {"kind": "activation", "name": "relu"}]]},
    {"kind": "residual", "shortcut": "pad", "layers": [{**CONV, "channels": 16}]},
    {"kind": "global_pool"},
    {"kind": "dense", "width": 5},
]


def network(*layers: dict[str, Any], reads: Signal = READS) -> Network:
    return build(parse(LayersSpec, {"layers": list(layers)}), reads, (DenseSpec(width=10),))


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def words(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter(f"{SVG}text")]


def of_class(svg: str, name: str) -> list[ElementTree.Element]:
    return [e for e in parsed(svg).iter() if name in (e.get("class") or "").split()]


def test_everything_is_there() -> None:
    svg = draw(network(*LAYERS))
    shown = words(svg)
    for text in (
        "image 3 × 32 × 32",
        "conv 4",
        "4 × 16 × 16",
        "× 3",
        "projection 24",
        "pad",
        "concat",
        "relu · drop path 0.1",
        "global pool",
        "dense 10",
        "vector 10",
    ):
        assert text in shown, text
    # One for itself, two in the first copy, two on the pile, two in branches, one that is padded.
    assert shown.count("conv 4") == 1 + 2 + 2 + 2
    assert shown.count("+") == 3
    assert len(of_class(svg, "skip")) == 3
    assert len(of_class(svg, "card")) == 3
    assert len(of_class(svg, "box")) == 8 + 1 + 1 + 1 + 1


def test_copies_that_are_equal_are_one_pile() -> None:
    flat = {"kind": "flatten"}
    svg = draw(network({"kind": "repeat", "times": 5, "layers": [CONV]}, flat))
    assert "× 4" in words(svg)  # the first reads three channels, the others four
    same = draw(network(CONV, {"kind": "repeat", "times": 5, "layers": [CONV]}, flat))
    assert "× 5" in words(same)


def test_it_needs_nothing_else() -> None:
    built = network(*LAYERS)
    svg = draw(built)
    assert "url(" not in svg
    assert "href" not in svg
    assert "<script" not in svg
    assert "prefers-color-scheme:dark" in svg
    assert parsed(svg).get("role") == "img"
    heading = parsed(svg).find(f"{SVG}title")
    assert heading is not None
    count = sum(parameter.numel() for parameter in built.parameters())
    assert heading.text == (
        f"A network from an image (3, 32, 32) to a vector (10): {count:,} parameters"
    )


def test_the_style_stays_inside() -> None:
    """In a page, the rules must not reach anything else."""
    style = parsed(draw(network(*LAYERS))).find(f"{SVG}style")
    assert style is not None
    assert style.text
    rules = style.text.replace("@media (prefers-color-scheme:dark){", "")
    for selector in re.findall(r"([^{}]+)\{", rules):
        assert selector.startswith(".luthier-network "), selector


def test_every_class_has_a_colour_in_both_modes() -> None:
    svg = draw(network(*LAYERS))
    used = {name for e in parsed(svg).iter() for name in (e.get("class") or "").split()}
    style = parsed(svg).find(f"{SVG}style")
    assert style is not None
    assert style.text
    for name in used - {"luthier-network"}:
        assert style.text.count(f".{name}{{") == 2, name


def extent(element: ElementTree.Element, x: float = 0, y: float = 0) -> list[tuple[float, float]]:
    """The corners of all boxes and lines, in the coordinates of the whole picture."""
    move = re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform") or "")
    if move:
        x, y = x + float(move[1]), y + float(move[2])
    corners: list[tuple[float, float]] = []
    if element.tag == f"{SVG}rect":
        left, top = float(element.get("x") or 0), float(element.get("y") or 0)
        width, height = float(element.attrib["width"]), float(element.attrib["height"])
        corners += [(x + left, y + top), (x + left + width, y + top + height)]
    for pair in (element.get("points") or "").split():
        px, py = pair.split(",")
        corners.append((x + float(px), y + float(py)))
    return corners + [corner for child in element for corner in extent(child, x, y)]


@pytest.mark.parametrize("reads", [READS, Signal.of((64, 3))], ids=lambda signal: signal.form)
def test_nothing_is_cut_off(reads: Signal) -> None:
    svg = draw(network(*LAYERS, reads=reads))
    width, height = (float(parsed(svg).attrib[name]) for name in ("width", "height"))
    for x, y in extent(parsed(svg)):
        assert -0.5 <= x <= width + 0.5
        assert -0.5 <= y <= height + 0.5


class Own(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def test_names_are_escaped() -> None:
    module = Own()
    type(module).__name__ = "<b>&"
    svg = draw(Network.of(module, READS))
    assert "&lt;b&gt;&amp;" in svg
    assert "<b>&" in words(svg)


@pytest.mark.parametrize(
    ("spec", "head", "rest"),
    [
        (ActivationSpec(name="gelu_tanh"), "gelu tanh", []),
        (DropoutSpec(rate=0.5), "dropout 0.5", []),
        (GlobalPoolSpec(reduce="max"), "global pool", ["max"]),
        (DenseSpec(width=3, bias=False), "dense 3", ["no bias"]),
        (DenseSpec(width=3, bias=True, norm="none"), "dense 3", ["bias"]),
        (
            ConvSpec(channels=8, kernel=(3, 5), padding=0, groups="depthwise"),
            "conv 8",
            ["kernel 3 × 5", "groups depthwise"],
        ),
    ],
)
def test_captions(spec: BlockSpec, head: str, rest: list[str]) -> None:
    assert title(spec) == head
    assert details(spec) == rest


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (9_999, "9,999"), (10_000, "10k"), (693_962, "694k"), (1_234_567, "1.23M")],
)
def test_amounts(number: int, text: str) -> None:
    assert amount(number) == text
