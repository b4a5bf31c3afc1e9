"""Where a run comes from: its network, its recipe, its data, its machine."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from luthier.planner.count import Row
from luthier.reports.amounts import count, number, short, size
from luthier.reports.data import ReportData
from luthier.reports.markup import Child, Markup, facts, table, tag
from luthier.reports.page import Section, panel, section
from luthier.reports.summary import sizes


def network_section(data: ReportData) -> Section | None:
    """The drawing and the layer table; none where nothing is known of the layers."""
    if data.counts is None:
        return None
    whole = data.counts.total
    rows: list[Sequence[Child]] = [_layer(row) for row in data.counts.rows]
    total: Sequence[Child] = (
        tag("b", "total"),
        "",
        count(whole.parameters),
        short(whole.flops),
        size(whole.activation_bytes),
    )
    heads = ("layer", "gives", "parameters", "FLOPs", "activations")
    return section(
        "Network",
        "The network",
        f"{count(whole.parameters)} parameters. FLOPs are the arithmetic of one forward pass of "
        f"one {data.example_noun}, activations the memory kept for its backward pass.",
        tag("div.drawing", drawing(data.drawing)) if data.drawing else None,
        table(heads, [*rows, total], words=2),
    )


def drawing(svg: str) -> Markup:
    """A drawing as a picture of its own: its styles cannot reach the page, nor scripts run."""
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    return tag("img", at={"src": source, "alt": "The network, block by block"})


def recipe_section(data: ReportData) -> Section:
    """The recipe as written, and what was decided for it."""
    rows: list[Sequence[Child]] = [
        (tag("code", decision.place), tag("code", shown(decision.value)), decision.reason)
        for decision in data.decisions
    ]
    decided = panel(
        "Decided for it",
        table(("setting", "value", "because"), rows, words=3),
        note="Each auto of the recipe, and each setting that it leaves to luthier.",
    )
    return section(
        "Recipe",
        "Recipe",
        "Everything about the run that a person chose.",
        panel("As written", tag("pre", tag("code", data.recipe.rstrip("\n")))),
        decided if rows else None,
    )


def origin_section(data: ReportData) -> Section:
    """How to get the run again: commands, data, machine."""
    commands = "\n".join(data.commands)
    machine = [
        panel(_title(group), facts(_told(values)))
        for group, values in data.machine.items()
        if any(values.values())  # not a GPU that is not there
    ]
    return section(
        "Reproduce",
        "How to get this again",
        "The same recipe, data and versions give the same run.",
        tag("pre", tag("code", commands)) if commands else None,
        facts({"Data": sizes(data)}) if data.splits else None,
        tag("div.columns.three", *machine),
    )


def shown(value: Any) -> str:
    """A setting as it stands in a recipe."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, float):
        return number(value, 6)
    if isinstance(value, list | tuple):
        return f"[{', '.join(shown(inner) for inner in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {shown(inner)}' for key, inner in value.items())}}}"
    return str(value)


def _layer(row: Row) -> Sequence[Child]:
    indent = {"style": f"padding-left:{1.2 * row.depth:.1f}em"}
    name = tag("span", tag("b", row.name), " ", tag("span.place", row.module), at=indent)
    memory = size(row.activation_bytes) if row.activation_bytes else "–"
    return (
        name,
        tag("span.shape", " × ".join(count(length) for length in row.gives.shape)),
        count(row.parameters) if row.parameters else "–",
        short(row.flops) if row.flops else "–",
        memory,
    )


def _title(group: str) -> str:
    return group.upper() if group in ("cpu", "gpu") else group.capitalize()


def _told(values: Any) -> dict[str, Child]:
    return {
        key.removesuffix("_bytes").replace("_", " "): _fact(key, value)
        for key, value in values.items()
        if value is not None
    }


def _fact(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(name for name, there in value.items() if there) or "none"
    if key.endswith("_bytes"):
        return size(float(value))
    return str(value)
