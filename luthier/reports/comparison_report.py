"""The report of several runs, measured on the same examples."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.errors import InputError
from luthier.evaluation.compare import Comparison, compare
from luthier.metrics.paired import holm
from luthier.reports.amounts import (
    CONFIDENCE,
    NO_BREAK,
    count,
    p_value,
    percent,
    plural,
    seconds,
    signed_points,
)
from luthier.reports.data import ReportData
from luthier.reports.interval_chart import Row, dot_chart
from luthier.reports.line_chart import Line, line_chart
from luthier.reports.markup import Child, Markup, table, tag
from luthier.reports.origin import shown
from luthier.reports.page import Section, document, panel, section
from luthier.reports.quantity import quantity
from luthier.reports.summary import hardware

MOST_RUNS = 6
"""As many as there are colours that can be told apart."""
LUCK = 0.05
"""The p-value below which a difference is not put down to luck."""


def comparison_report(runs: Sequence[ReportData]) -> str:
    """A page that compares runs. The first is the one the others are measured against.

    Args:
        runs: Two or more, of the same task, measured on the same examples.

    Raises:
        InputError: If there are too few or too many, or they were not measured on the same
            examples.
    """
    if not 2 <= len(runs) <= MOST_RUNS:
        raise InputError(f"got {plural(len(runs), 'run')} to compare; wanted 2 to {MOST_RUNS}")
    names = unique_names(runs)
    pairs = [
        (first, second, compare(runs[first].evaluation.columns, runs[second].evaluation.columns))
        for first, second in itertools.combinations(range(len(runs)), 2)
    ]
    sections = [
        _metrics(runs, names),
        _tests(pairs, names, runs[0]),
        _curves(runs, names),
        _settings(runs, names),
    ]
    lead = [
        tag("div.kicker", "luthier · comparison of runs"),
        tag("h1", " and ".join([", ".join(names[:-1]), names[-1]])),
        tag("p.summary", verdict(runs, names, pairs)),
    ]
    title = f"{', '.join(names)}: luthier comparison"
    return document(title, lead, [part for part in sections if part is not None])


def unique_names(runs: Sequence[ReportData]) -> list[str]:
    """The names of the runs; those that share one are numbered."""
    given = [run.name for run in runs]
    return [
        f"{name} ({given[: position + 1].count(name)})" if given.count(name) > 1 else name
        for position, name in enumerate(given)
    ]


def verdict(
    runs: Sequence[ReportData], names: Sequence[str], pairs: Sequence[tuple[int, int, Comparison]]
) -> str:
    """The outcome in a sentence: which is best, and whether that may be luck.

    The best is held against the next best, by the paired test of the two.
    """
    headline = runs[0].evaluation.headline
    what = quantity(headline)
    metrics = [run.evaluation.metrics[headline] for run in runs]
    tests = _adjusted(pairs)
    if tests is None or headline != "accuracy":
        said = [f"{name} {what.value(metric)}" for name, metric in zip(names, metrics, strict=True)]
        return f"{what.title}: {', '.join(said)}."
    best, next_best = sorted(range(len(runs)), key=lambda run: -metrics[run].value)[:2]
    told = f"{what.value(metrics[best])} against {what.value(metrics[next_best])}"
    examples = f"{plural(metrics[best].n, runs[0].example_noun)}"
    chance = tests[min(best, next_best), max(best, next_best)]
    if chance < LUCK:
        return (
            f"{names[best]} is better than {names[next_best]}: {told} on the same {examples}, more "
            f"than luck explains ({_p(chance)})."
        )
    return (
        f"{names[best]} and {names[next_best]} cannot be told apart: {told} on the same "
        f"{examples}, a difference that luck explains ({_p(chance)})."
    )


def _p(chance: float) -> str:
    said = p_value(chance) if chance < 0.001 else f"= {p_value(chance)}"
    return f"p {said}".replace(" ", NO_BREAK)


def _adjusted(pairs: Sequence[tuple[int, int, Comparison]]) -> dict[tuple[int, int], float] | None:
    tests = [comparison.accuracy for _, _, comparison in pairs]
    values = [test.p_value for test in tests if test is not None]
    if len(values) < len(tests):
        return None
    places = [(first, second) for first, second, _ in pairs]
    return dict(zip(places, holm(values), strict=True))


def _metrics(runs: Sequence[ReportData], names: Sequence[str]) -> Section:
    headline = runs[0].evaluation.headline
    shared = [
        name
        for name in runs[0].evaluation.metrics
        if all(name in run.evaluation.metrics for run in runs)
    ]
    rows: list[Sequence[Child]] = []
    for position, run in enumerate(runs):
        metrics = [run.evaluation.metrics[name] for name in shared]
        cells = [
            tag("span", quantity(name).value(metric), tag("small", quantity(name).interval(metric)))
            for name, metric in zip(shared, metrics, strict=True)
        ]
        size = count(run.counts.total.parameters) if run.counts else "–"
        ran = (seconds(run.timing.seconds), hardware(run), size)
        rows.append((_swatch(position, names[position]), *cells, *ran))
    titles = [quantity(name).title for name in shared]
    heads = ("run", *titles, "training", "on", "parameters")
    drawn = [_dots(runs, names, name) for name in (headline, "log_loss") if name in shared]
    return section(
        "Metrics",
        "Side by side",
        f"Measured on the same {plural(len(runs[0].evaluation.columns['id']), 'example')} of the "
        f"{runs[0].split} split; below each number its {CONFIDENCE} interval.",
        tag("div.columns", *drawn),
        table(heads, rows),
    )


def _dots(runs: Sequence[ReportData], names: Sequence[str], name: str) -> Markup:
    what = quantity(name)
    rows = [
        Row(name=names[position], metric=run.evaluation.metrics[name], style=f"run{position}")
        for position, run in enumerate(runs)
    ]
    return panel(what.title, dot_chart(rows, what.title, what.show))


def _swatch(position: int, name: str) -> Markup:
    return tag("span", tag(f"i.swatch.run{position}"), name)


def _tests(
    pairs: Sequence[tuple[int, int, Comparison]], names: Sequence[str], run: ReportData
) -> Section:
    adjusted = _adjusted(pairs)
    rows: list[Sequence[Child]] = []
    for first, second, found in pairs:
        loss = quantity("loss")
        shift = tag("span", loss.show(found.loss.value), tag("small", loss.interval(found.loss)))
        who = f"{names[second]} against {names[first]}"
        if found.accuracy is None or adjusted is None:
            rows.append((who, shift))
            continue
        test, gap = found.accuracy, found.accuracy.difference
        assert gap.interval is not None, "a difference of shares has one, of any number"
        width = " to ".join(signed_points(end) for end in gap.interval)
        split = f"{count(test.only_second)} : {count(test.only_first)}"
        points = tag("span", signed_points(gap.value), tag("small", width))
        rows.append((who, points, split, p_value(adjusted[first, second]), shift))
    if adjusted is None:
        return section("Test", "Is it luck?", "", table(("pair", "loss, difference"), rows))
    heads = ("pair", "accuracy, points", "only one right", "p", "loss, difference")
    many = " As there are several pairs, p is adjusted for their number (Holm)." * (len(rows) > 1)
    return section(
        "Test",
        "Is it luck?",
        f"Only {plural(2, run.example_noun)[2:]} that one of the two got right, and the other "
        "wrong, can tell them apart. p is the chance of so uneven a split, were both equally good "
        f"(exact McNemar test); below {percent(LUCK, 0)} we do not call it luck.{many}",
        table(heads, rows),
    )


def _curves(runs: Sequence[ReportData], names: Sequence[str]) -> Section | None:
    """Each quantity of the validation split, and the training's where there is no other."""
    drawn = []
    every = [curve for run in runs for curve in run.curves]
    for name in dict.fromkeys(curve.quantity for curve in every):
        kinds = {curve.series for curve in every if curve.quantity == name}
        series = "validation" if "validation" in kinds else min(kinds)
        lines = [
            Line(name=names[place], style=f"run{place}", steps=curve.steps, values=curve.values)
            for place, run in enumerate(runs)
            for curve in run.curves
            if (curve.quantity, curve.series) == (name, series)
        ]
        if any(len(line.finite().values) for line in lines):
            what = quantity(name)
            drawn.append(panel(f"{what.title} ({series})", line_chart(lines, what)))
    if not drawn:
        return None
    return section("Training", "Training", "", tag("div.columns", *drawn))


def _settings(runs: Sequence[ReportData], names: Sequence[str]) -> Section:
    flat = [flattened(run.resolved) for run in runs]
    keys = list(dict.fromkeys(key for settings in flat for key in settings))
    rows: list[Sequence[Child]] = []
    for key in keys:
        values = [shown(settings[key]) if key in settings else "–" for settings in flat]
        if len(set(values)) > 1 and key != "name":
            rows.append((tag("code", key), *(tag("code", value) for value in values)))
    body: Child = tag("p", "Nothing: the recipes are the same.")
    if rows:
        body = table(("setting", *names), rows, words=1 + len(runs))
    return section("Recipes", "What differs in the recipes", "", body)


def flattened(value: Any, place: str = "") -> dict[str, Any]:
    """Nested settings by their dotted paths.

    Example:
        >>> flattened({"model": {"layers": [{"kind": "conv", "kernel": [3, 3]}]}})
        {'model.layers[0].kind': 'conv', 'model.layers[0].kernel': [3, 3]}
    """
    if isinstance(value, Mapping):
        parts = [
            flattened(inner, f"{place}.{key}" if place else str(key))
            for key, inner in value.items()
        ]
    elif isinstance(value, list | tuple) and any(isinstance(inner, Mapping) for inner in value):
        parts = [flattened(inner, f"{place}[{number}]") for number, inner in enumerate(value)]
    else:
        return {place: value}
    return {key: inner for part in parts for key, inner in part.items()}
