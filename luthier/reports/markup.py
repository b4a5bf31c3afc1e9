"""HTML and SVG, made so that nothing from a user can be markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence

# Control characters are not allowed in HTML; lone surrogates (names of files that are not UTF-8)
# cannot be written.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_VOID = {"meta", "img", "br", "line", "path", "rect", "circle", "polyline", "polygon"}
_SVG = {"line", "path", "rect", "circle", "polyline", "polygon"}


class Markup(str):
    """Text that is markup already. Any other text is escaped when it is put into some."""

    __slots__ = ()


Child = str | int | float | None
"""What an element holds: markup, or plain text or a number, which is escaped; none is left out."""


def text(value: str | float) -> Markup:
    """`value` as text that no browser takes for markup.

    Example:
        >>> text("<script>")
        '&lt;script&gt;'
    """
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_NOT_TEXT.sub("\ufffd", str(value)), quote=True))


def tag(name: str, *children: Child, at: Mapping[str, str | float] | None = None) -> Markup:
    """An element.

    Args:
        name: As in a style sheet: `td.number` is a td of the class number.
        children: What it holds, in order.
        at: Its other attributes.

    Example:
        >>> tag("p.lead", "1 < 2 ", tag("b", "!"))
        '<p class="lead">1 &lt; 2 <b>!</b></p>'
    """
    name, *classes = name.split(".")
    attributes = {"class": " ".join(classes)} if classes else {}
    written = "".join(
        f' {key}="{text(str(_number(value)))}"'
        for key, value in {**attributes, **(at or {})}.items()
    )
    inner = join(children)
    if name in _VOID and not inner:
        return Markup(f"<{name}{written}{'/' if name in _SVG else ''}>")
    return Markup(f"<{name}{written}>{inner}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Markup:
    """Several children as one."""
    return Markup(text(between).join(text(child) for child in children if child is not None))


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Child]], *, words: int = 1, caption: str = ""
) -> Markup:
    """A table that scrolls sideways where it does not fit.

    Args:
        heads: The titles of the columns.
        rows: The cells.
        words: How many columns, from the left, hold words; numbers stand to the right.
        caption: What it shows, for people who do not see it.
    """

    def kind(column: int) -> str:
        return "" if column < words else ".number"

    head = [tag(f"th{kind(column)}", title) for column, title in enumerate(heads)]
    body = [
        tag("tr", *(tag(f"td{kind(column)}", cell) for column, cell in enumerate(row)))
        for row in rows
    ]
    inside = [tag("caption", caption) if caption else None]
    return tag(
        "div.scroll",
        tag("table", *inside, tag("thead", tag("tr", *head)), tag("tbody", *body)),
    )


def facts(pairs: Mapping[str, Child]) -> Markup:
    """Names and values, as a list."""
    return tag(
        "dl.facts",
        *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs.items()),
    )


def _number(value: str | float) -> str | float:
    """A coordinate to two places: a hundredth of a pixel is enough, and the file stays small."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return value
