"""What a run that writes down speech got wrong: by kind, and word by word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.metrics.edits import KINDS, UNITS, side_by_side
from luthier.reports.amounts import count, percent
from luthier.reports.markup import Child, table, tag
from luthier.reports.page import Section, panel, section


def errors_section(details: Mapping[str, Any]) -> Section:
    """Substitutions, deletions and insertions, and the texts with most of them.

    Args:
        details: Of the task: `errors` and `worst`.
    """
    rows: list[Sequence[Child]] = []
    for unit in UNITS:
        found = details["errors"][unit]
        whole = found[f"{unit}s"]
        numbers = [found[f"{kind}s"] for kind in KINDS]
        share = percent(sum(numbers) / whole) if whole else "–"
        rows.append((f"{unit}s", count(whole), *map(count, numbers), share))
    heads = ("of", "there are", *(f"{kind}s" for kind in KINDS), "error")
    worst = [_worst(one) for one in details["worst"]]
    return section(
        "Errors",
        "What was heard wrong",
        "A substitution is another word, a deletion one that was missed, an insertion one that "
        "nobody said. Below, the texts with most of them: first what is right, then what was said.",
        tag(
            "div",
            panel("By kind", table(heads, rows)),
            *(worst or [tag("p", "Every text is right.")]),
        ),
    )


def _worst(one: Mapping[str, Any]) -> Child:
    name = str(one.get("name", one["id"]))
    return tag("pre.sample", tag("b", f"{name}\n"), "\n".join(side_by_side(one["edits"])))
