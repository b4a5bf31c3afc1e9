"""What of a trained network an adapter let move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from luthier.adapters import AdapterSpec, LoraSpec
from luthier.reports.amounts import count, number, percent, size
from luthier.reports.data import ReportData
from luthier.reports.markup import Child, facts
from luthier.reports.page import Section, section

KINDS = {
    "lora": "LoRA",
    "rslora": "rsLoRA",
    "dora": "DoRA",
    "qlora": "QLoRA",
    "freeze": "some layers stay",
    "bias": "biases alone",
}
"""What people call the kinds of adapters."""


def adapter_section(data: ReportData) -> Section | None:
    """How much trained, and what the rest takes; none where every weight moved."""
    found, given = data.adapter, data.resolved.get("adapter")
    if found is None or not given:
        return None
    spec: AdapterSpec = TypeAdapter(AdapterSpec).validate_python(given)
    sizes = found["bytes"]
    others = size(sizes["others"])
    told: dict[str, Child] = {
        "Kind": _kind(spec),
        "Where": found["where"] or "everywhere",
        "Trained": f"{count(found['trained'])} of {count(found['whole'])} weights "
        f"({percent(found['trained'] / found['whole'])})",
        "Memory of the adapter": size(sizes["adapter"]) if sizes["adapter"] else None,
        "Memory of weights in four bits": _in_four_bits(found),
        "Memory of the other weights": others if sizes["adapter"] else None,
        "Started from": data.resolved.get("start"),
        "The finished model": _kept(spec),
    }
    return section(
        "Adapter",
        "What was trained",
        "A small part of the network learned; all other weights are those that it started with.",
        facts({name: value for name, value in told.items() if value}),
    )


def _kind(spec: AdapterSpec) -> str:
    """`LoRA of rank 16, alpha 32`."""
    kind = KINDS[spec.kind]
    if not isinstance(spec, LoraSpec):
        return kind
    text = f"{kind} of rank {spec.rank}, alpha {number(spec.alpha)}"
    return f"{text}, dropout {number(spec.dropout)}" if spec.dropout else text


def _in_four_bits(found: Mapping[str, Any]) -> str:
    weights, sizes = found["in_four_bits"], found["bytes"]
    if not weights:
        return ""
    return f"{size(sizes['four_bits'])}; whole they would take {size(4 * weights)}"


def _kept(spec: AdapterSpec) -> str:
    if not isinstance(spec, LoraSpec):
        return ""
    whole = spec.keep == "model"
    return "all weights, what was learned added in" if whole else "the adapter alone"
