"""Rows of equal copies, as one."""

from __future__ import annotations

from typing import Any

from luthier.model.blueprint import LayersSpec, build
from luthier.planner.count import Row, count
from luthier.planner.folding import folded
from luthier.signal import Signal
from luthier.spec import parse

CONV: dict[str, Any] = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "same"}


def repeat(times: int, *layers: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"kind": "repeat", "times": times, "layers": list(layers), **rest}


def rows(*layers: dict[str, Any]) -> tuple[Row, ...]:
    spec = parse(LayersSpec, {"layers": list(layers), "head": "none"})
    return count(build(spec, Signal.of((3, 8, 8)))).rows


def places(*layers: dict[str, Any]) -> list[str]:
    return [row.place.removeprefix("model.") for row in folded(rows(*layers))]


def test_copies_that_are_equal() -> None:
    assert places(CONV, repeat(12, CONV, CONV)) == [
        "layers[0]",
        "layers[1]",
        "layers[1].copies[0–11].layers[0]",
        "layers[1].copies[0–11].layers[1]",
    ]


def test_copies_that_differ() -> None:
    """The first reads three channels, the others four; or it has a projection, the others none."""
    assert places(repeat(5, CONV)) == [
        "layers[0]",
        "layers[0].copies[0].layers[0]",
        "layers[0].copies[1–4].layers[0]",
    ]
    halved = repeat(
        3, {"kind": "residual", "layers": [CONV]}, first={"layers.0.layers.0.stride": 2}
    )
    assert places(CONV, halved) == [
        "layers[0]",
        "layers[1]",
        "layers[1].copies[0].layers[0]",
        "layers[1].copies[0].layers[0].layers[0]",
        "layers[1].copies[0].layers[0].shortcut",
        "layers[1].copies[1–2].layers[0]",
        "layers[1].copies[1–2].layers[0].layers[0]",
    ]


def test_repeats_inside_of_blocks_and_repeats() -> None:
    residual = {"kind": "residual", "layers": [repeat(3, CONV)]}
    assert places(CONV, repeat(4, residual, CONV)) == [
        "layers[0]",
        "layers[1]",
        "layers[1].copies[0–3].layers[0]",
        "layers[1].copies[0–3].layers[0].layers[0]",
        "layers[1].copies[0–3].layers[0].layers[0].copies[0–2].layers[0]",
        "layers[1].copies[0–3].layers[1]",
    ]


def test_nothing_to_fold() -> None:
    given = rows(CONV, CONV)
    assert folded(given) == list(given)


def test_figures_are_those_of_one_copy() -> None:
    """And the outer rows still sum up to the whole."""
    given = rows(CONV, repeat(3, CONV))
    short = folded(given)
    assert short[1] == given[1]
    assert short[2].parameters == given[2].parameters == given[1].parameters // 3
    assert short[2].flops == given[1].flops // 3
    assert sum(row.flops for row in short if row.depth == 0) == sum(
        row.flops for row in given if row.depth == 0
    )
