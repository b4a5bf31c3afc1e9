"""The report of one run."""

from __future__ import annotations

from luthier.reports.adaptation import adapter_section
from luthier.reports.conversations import conversations_section
from luthier.reports.course import course_section
from luthier.reports.data import ReportData
from luthier.reports.forecasts import forecasts_section
from luthier.reports.markup import Markup, tag
from luthier.reports.origin import network_section, origin_section, recipe_section
from luthier.reports.page import document
from luthier.reports.results import headline_cards, result_sections
from luthier.reports.summary import summary


def run_report(data: ReportData) -> str:
    """`report.html`: a page that needs no other file, no network and no script.

    Args:
        data: The run.
    """
    sections = [
        course_section(data),
        *result_sections(data),
        forecasts_section(data.forecasts),
        conversations_section(data.conversations),
        adapter_section(data),
        network_section(data),
        recipe_section(data),
        origin_section(data),
    ]
    lead = [
        tag("div.kicker", "luthier · report of a run"),
        tag("h1", data.name),
        tag("p.summary", summary(data)),
        headline_cards(data),
        notes(data.notes),
    ]
    shown = [part for part in sections if part is not None]
    return document(f"{data.name}: luthier report", lead, shown)


def notes(lines: tuple[str, ...]) -> Markup | None:
    """What a reader should know, as a list; none where there is nothing."""
    if not lines:
        return None
    return tag("ul.notes", *(tag("li", line) for line in lines))
