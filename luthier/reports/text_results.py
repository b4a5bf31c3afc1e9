"""What a run on texts reached: its types of entities, and what it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from luthier.metrics.interval import Metric
from luthier.reports.amounts import CONFIDENCE, count, percent
from luthier.reports.interval_chart import Row, bar_chart
from luthier.reports.markup import Child, table, tag
from luthier.reports.page import Section, panel, section


def types_section(types: Sequence[Mapping[str, Any]]) -> Section:
    """Precision, recall and F1 of each type of entity, or of each tag.

    Args:
        types: As the task's details have them: `type`, `actual`, `precision`, `recall`, `f1`.
    """
    rows: list[Sequence[Child]] = [
        (one["type"], count(one["actual"]), *(_share(one[key]) for key in SCORES)) for one in types
    ]
    bars = [
        Row(name=one["type"], metric=Metric(**one["f1"])) for one in types if one["f1"] is not None
    ]
    return section(
        "Types",
        "By type",
        "An entity is found where its type, its first and its last word are right. Precision: of "
        "what was said, the share that is so. Recall: of what is there, the share that was found. "
        f"The whiskers are the {CONFIDENCE} interval.",
        tag(
            "div.columns",
            panel("F1", bar_chart(bars, "F1 of each type", lambda value: percent(value, 0))),
            panel("All scores", table(("type", "there are", "precision", "recall", "F1"), rows)),
        ),
    )


SCORES = ("precision", "recall", "f1")


def samples_section(samples: Mapping[str, str]) -> Section:
    """What the network writes after each prompt."""
    written = (tag("pre.sample", tag("b", prompt), text) for prompt, text in samples.items())
    return section(
        "Samples",
        "What it writes",
        "The prompt is in bold; the rest is the network's, drawn at a temperature of 0.8.",
        tag("div", *written),
    )


def _share(metric: Mapping[str, float] | None) -> Child:
    return tag("span.none", "–") if metric is None else percent(metric["value"])
