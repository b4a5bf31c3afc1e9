"""How the training went: curves, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.reports.amounts import count, number, percent, plural, seconds
from luthier.reports.data import Curve, ReportData
from luthier.reports.line_chart import Line, line_chart
from luthier.reports.markup import Markup, facts, tag
from luthier.reports.page import Section, panel, section
from luthier.reports.quantity import quantity
from luthier.reports.summary import hardware

STYLES = ("train", "validation")
OTHERS = ("run1", "run2", "run3", "run4", "run5")


def course_section(data: ReportData) -> Section:
    """The training: a chart for each quantity, and the times."""
    return section(
        "Training",
        "Training",
        "Each step shows the network one batch and moves its weights a little. Train is what it "
        "learned from, validation what it never saw.",
        tag("div.columns", *charts(data.curves), _times(data)),
    )


def _times(data: ReportData) -> Markup:
    timing = data.timing
    nouns = plural(2, data.example_noun)[2:]
    times = {
        "Training": seconds(timing.seconds),
        "On": hardware(data),
        "Epochs": number(timing.epochs),
        "Steps": count(timing.steps),
        "Rate while training": f"{count(timing.examples_per_second)} {nouns}/s",
        "Of that, waiting for data": percent(timing.waiting_share),
        f"Evaluation on {data.split}": seconds(data.evaluation.seconds),
    }
    return panel("Time", facts(times))


def charts(curves: Sequence[Curve]) -> list[Markup]:
    """One chart for each quantity, in order of first appearance; empty curves are left out."""
    names = list(dict.fromkeys(curve.quantity for curve in curves))
    drawn = []
    for name in names:
        lines = [
            Line(
                name=curve.series,
                style=_style(curve.series, position),
                steps=curve.steps,
                values=curve.values,
            )
            for position, curve in enumerate(found for found in curves if found.quantity == name)
        ]
        if any(len(line.finite().values) for line in lines):
            what = quantity(name)
            drawn.append(panel(what.title, line_chart(lines, what)))
    return drawn


def _style(series: str, position: int) -> str:
    return series if series in STYLES else OTHERS[position % len(OTHERS)]
