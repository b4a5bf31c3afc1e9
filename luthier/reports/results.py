"""What a run reached: the headline numbers, by class, by confidence, and what it got wrong."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.metrics.classification import ClassificationDetails, classification_details
from luthier.metrics.interval import Metric
from luthier.reports.amounts import CONFIDENCE, count, percent, plural
from luthier.reports.answers import answers_section
from luthier.reports.confusion_table import (
    MOST_CLASSES,
    confusion_table,
    frequent_confusions,
)
from luthier.reports.data import ReportData
from luthier.reports.interval_chart import Row, bar_chart
from luthier.reports.markup import Child, Markup, table, tag
from luthier.reports.mistakes import MOST, mistake_tiles
from luthier.reports.page import Section, panel, section
from luthier.reports.quantity import quantity
from luthier.reports.reliability_chart import reliability_chart
from luthier.reports.text_results import samples_section, types_section
from luthier.reports.transcript_results import errors_section
from luthier.reports.written_texts import written_sections

MOST_ROWS = 60
"""Of more classes, those with the lowest F1 are in the table."""


def headline_cards(data: ReportData) -> Markup:
    """The metrics, each with its interval and what it means."""
    cards = []
    for name, metric in data.evaluation.metrics.items():
        what = quantity(name)
        cards.append(
            tag(
                "div.card.first" if name == data.evaluation.headline else "div.card",
                tag("div.title", what.title),
                tag("div.value", what.value(metric)),
                tag("div.interval", what.interval(metric)),
                tag("div.sense", what.meaning),
            )
        )
    return tag("div.cards", *cards)


def result_sections(data: ReportData) -> list[Section]:
    """The sections on what was measured: on classes, on types of entities, on written texts."""
    columns, found = data.evaluation.columns, []
    if data.classes and "label" in columns:
        details = classification_details(columns, data.classes)
        found += [_classes(details), _confusion(data, details), _confidence(details)]
        found.append(_mistakes(data))
    if "answer" in columns and "truth" in columns:
        found.append(answers_section(columns))
    if "types" in data.evaluation.details:
        found.append(types_section(data.evaluation.details["types"]))
    if "errors" in data.evaluation.details:
        found.append(errors_section(data.evaluation.details))
    found += written_sections(columns, data.evaluation.details)
    if data.evaluation.samples and "output" not in columns:
        found.append(samples_section(data.evaluation.samples))
    return found


def _classes(details: ClassificationDetails) -> Section:
    scores = sorted(details.scores, key=lambda score: score.f1.value if score.f1 else 2.0)
    left_out = len(scores) - MOST_ROWS
    note = f"{count(left_out)} classes with a higher F1 are left out." if left_out > 0 else ""
    scores = scores[:MOST_ROWS]
    if not note:
        scores.sort(key=lambda score: score.label)
    rows: list[Sequence[Child]] = [
        (
            details.classes[score.label],
            count(score.examples),
            _score(score.precision),
            _score(score.recall),
            _score(score.f1),
        )
        for score in scores
    ]
    bars = [Row(name=details.classes[score.label], metric=score.f1) for score in scores if score.f1]
    heads = ("class", "examples", "precision", "recall", "F1")
    return section(
        "Classes",
        "By class",
        "Precision: of what was said to be the class, the share that is. Recall: of the class, the "
        "share that was found. F1 joins the two. Below each number, and as whiskers on the bars, "
        f"its {CONFIDENCE} interval.",
        tag(
            "div.columns",
            panel("F1", bar_chart(bars, "F1 of each class", lambda value: percent(value, 0))),
            panel("All scores", table(heads, rows), note=note),
        ),
    )


def _score(metric: Metric | None) -> Markup:
    if metric is None:
        return tag("span.none", "–")
    value = f"{100 * metric.value:.1f}"
    if metric.interval is None:
        return tag("span", value)
    low, high = metric.interval
    return tag("span", value, tag("small", f"{100 * low:.0f} to {100 * high:.0f}"))


def _confusion(data: ReportData, details: ClassificationDetails) -> Section:
    pairs = frequent_confusions(details.confusion)
    rows: list[Sequence[Child]] = [
        (details.classes[label], details.classes[said], count(number))
        for label, said, number in pairs
    ]
    often: Child = table(("is", "said", "times"), rows, words=2) if rows else tag("p", "None.")
    left_out = len(data.classes) - MOST_CLASSES
    note = f"The {MOST_CLASSES} classes with the most mistakes; {count(left_out)} are left out."
    return section(
        "Confusion",
        "What is taken for what",
        f"Each row is what the {plural(2, data.example_noun)[2:]} are, each column what the "
        "network said. The diagonal is right; the colour shows where mistakes gather.",
        tag(
            "div.columns.wide-first",
            panel(
                "Confusion matrix",
                confusion_table(details.confusion, details.classes),
                note=note if left_out > 0 else "",
            ),
            panel("Most frequent mistakes", often),
        ),
    )


def _confidence(details: ClassificationDetails) -> Section:
    rows: list[Sequence[Child]] = [
        (
            f"{100 * found.low:.0f} to {percent(found.high, 0)}",
            count(found.accuracy.n),
            percent(found.confidence),
            percent(found.accuracy.value),
        )
        for found in reversed(details.bins)
    ]
    heads = ("confidence", "examples", "mean confidence", "accuracy")
    return section(
        "Confidence",
        "Can its confidence be trusted?",
        f"A network that says {percent(0.9, 0)} should be right nine times in ten: its dots "
        "lie on the dashed line. Below the line it is too sure, above it too modest. The strip "
        "shows how many examples got that confidence.",
        tag(
            "div.columns",
            panel("Accuracy by confidence", reliability_chart(details.bins)),
            panel("The same in numbers", table(heads, rows)),
        ),
    )


def _mistakes(data: ReportData) -> Section:
    columns = data.evaluation.columns
    wrong = int((columns["label"] != columns["predicted"]).sum())
    if not wrong:
        body: Child = tag("p", f"No {data.example_noun} of the {data.split} split is wrong.")
        return section("Mistakes", "Worst mistakes", "", body)
    shown = f"the {MOST} worst" if wrong > MOST else "all"
    return section(
        "Mistakes",
        "Worst mistakes",
        f"{plural(wrong, data.example_noun)} of {count(len(columns['label']))} "
        f"{'is' if wrong == 1 else 'are'} wrong; here {shown}, the surest first. In brackets, the "
        "probability that the network gave its wrong answer.",
        mistake_tiles(columns, data.classes, data.pictures, data.texts),
    )
