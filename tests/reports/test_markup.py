"""Nothing from a user can be markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.reports.markup import Markup, facts, join, table, tag, text


class Reading(HTMLParser):
    """What a browser sees: the elements and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.words += "".join(value or "" for name, value in attrs if name == "title")

    def handle_data(self, data: str) -> None:
        self.words += data


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_any_text_is_text(words: str) -> None:
    assert Reading(tag("p", words)).tags == ["p"]
    assert Reading(tag("p", words)).words == words
    assert Reading(tag("p", at={"title": words})).words == words


@given(st.text())
def test_any_text_can_be_written_as_utf8(words: str) -> None:
    assert tag("p", words + "\ud800\x00").encode()


def test_a_twin_that_does_not_escape_is_caught() -> None:
    assert Reading(tag("p", Markup("<script>"))).tags == ["p", "script"]


def test_markup_in_an_attribute_is_escaped_all_the_same() -> None:
    assert tag("p", at={"title": Markup('" onload="x')}) == (
        '<p title="&quot; onload=&quot;x"></p>'
    )


def test_elements() -> None:
    assert tag("td.number.hot", 3) == '<td class="number hot">3</td>'
    assert tag("p", None, "a", None) == "<p>a</p>"
    assert tag("img", at={"src": "data:"}) == '<img src="data:">'
    assert tag("line", at={"x1": 1.0, "x2": 0.123456}) == '<line x1="1" x2="0.12"/>'
    assert tag("circle", tag("title", "a")) == "<circle><title>a</title></circle>"
    assert join(["a", tag("b"), None], " & ") == "a &amp; <b></b>"
    assert text(0.5) == "0.5"


def test_a_table() -> None:
    made = table(("name", "count"), [("<a>", 1)], caption="Things")
    assert "<caption>Things</caption>" in made
    assert '<td>&lt;a&gt;</td><td class="number">1</td>' in made
    assert '<th>name</th><th class="number">count</th>' in made


def test_facts() -> None:
    assert "<dt>time</dt><dd>14 s</dd>" in facts({"time": "14 s"})


def test_markup_holds_nothing_else() -> None:
    with pytest.raises(AttributeError):
        Markup("a").author = "b"  # type: ignore[attr-defined]
