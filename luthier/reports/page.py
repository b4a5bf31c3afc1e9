"""The frame of a report: one file, no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from luthier.reports.markup import Child, Markup, join, tag

# A browser that reads this runs no script and loads nothing, whatever the page held.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    name: str
    """One or two words, for the page's contents."""
    body: Markup

    @property
    def anchor(self) -> str:
        """Where links to it lead."""
        return self.name.lower().replace(" ", "-")


def section(name: str, title: str, meaning: str, *children: Child) -> Section:
    """A section: a heading, a sentence for strangers, and what it shows.

    Args:
        name: One or two words, for the page's contents.
        title: Its heading.
        meaning: How to read it; empty leaves it out.
        children: What it shows.
    """
    lead = tag("p.meaning", meaning) if meaning else None
    return Section(name, join([tag("h2", title), lead, *children]))


def panel(title: str, *children: Child, note: str = "") -> Markup:
    """A part of a section with its own small heading."""
    below = tag("p.note", note) if note else None
    return tag("div.panel", tag("h3", title), *children, below)


def document(title: str, lead: Sequence[Child], sections: Sequence[Section]) -> str:
    """A whole page.

    Args:
        title: Of the browser's window.
        lead: What stands above the contents: the summary and the headline numbers.
        sections: The rest, in order.
    """
    style = Markup(files("luthier.reports").joinpath("style.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        tag("meta", at={"charset": "utf-8"}),
        tag("meta", at={"http-equiv": "Content-Security-Policy", "content": POLICY}),
        tag("meta", at={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", at={"name": "color-scheme", "content": "light dark"}),
        tag("title", title),
        tag("style", style),
    )
    links = [tag("a", part.name, at={"href": f"#{part.anchor}"}) for part in sections]
    body = tag(
        "body",
        tag("header", *lead),
        tag("nav", *links, at={"aria-label": "Contents"}),
        tag("main", *(tag("section", part.body, at={"id": part.anchor}) for part in sections)),
        tag("footer", "Made by luthier. This page is one file: it loads nothing and runs nothing."),
    )
    return join([Markup("<!doctype html>\n"), tag("html", head, body, at={"lang": "en"})])
