"""A run in a sentence."""

from __future__ import annotations

from luthier.reports.amounts import CONFIDENCE, NO_BREAK, count, decimals_of, plural, seconds
from luthier.reports.data import ReportData
from luthier.reports.quantity import quantity


def summary(data: ReportData) -> str:
    """What a run reached, on what, and what it took.

    `digits: 98.1 % accuracy on 360 test images (95 % interval 96.0 to 99.1), trained in 14 s on
    2 CPU cores.`
    """
    name = data.evaluation.headline
    metric, what = data.evaluation.metrics[name], quantity(name)
    decimals = decimals_of(metric)
    scale = 100 if what.is_share else 1
    title = what.title.lower() if what.title[1:].islower() else what.title
    reached = f"{what.value(metric)} {title}" if what.is_share else f"{title} {what.value(metric)}"
    within = "of which there is no interval"
    if metric.interval is not None:
        low, high = (
            f"{scale * bound:.{decimals}f}" if what.is_share else what.show(bound)
            for bound in metric.interval
        )
        within = f"{CONFIDENCE} interval {low} to {high}"
    examples = plural(metric.n, data.example_noun).split(" ", 1)
    return (
        f"{data.name}: {reached} on {examples[0]} {data.split} {examples[1]} "
        f"({within}), "
        f"trained in {seconds(data.timing.seconds)} on {hardware(data)}."
    )


def hardware(data: ReportData) -> str:
    """What it was trained on, in words."""
    if data.device == "cpu":
        cores = plural(int(data.machine["cpu"]["cores"]), "CPU core")
        return cores.replace(" ", NO_BREAK)
    return str(data.machine["gpu"]["name"])


def sizes(data: ReportData) -> str:
    """The splits in words: `1,257 train · 180 validation · 360 test`."""
    return " · ".join(f"{count(rows)} {name}" for name, rows in data.splits.items())
