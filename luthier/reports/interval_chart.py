"""Values with their intervals, one below the other: bars, or dots on a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from luthier.metrics.interval import Metric
from luthier.reports.amounts import cut
from luthier.reports.markup import Markup, tag
from luthier.reports.scale import Scale, scale_of

WIDTH, BOTTOM = 460, 26
BAR_ROW, DOT_ROW = 44, 34
"""Heights of a row; a bar's is that of a table row with an interval, beside which it stands."""
THICK = 10.0
LETTER = 7.0
MOST_LETTERS = 22


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the chart."""

    name: str
    metric: Metric
    style: str = "validation"
    """A class of the style sheet."""


def bar_chart(rows: Sequence[Row], title: str, show: Callable[[float], str]) -> Markup:
    """Horizontal bars from zero, with whiskers.

    Args:
        rows: From top to bottom; shares of one.
        title: What is shown, for people who do not see it.
        show: A value in words.
    """
    return _chart(rows, title, show, lambda start, stop: Scale(0.0, 1.0, start, stop), bars=True)


def dot_chart(rows: Sequence[Row], title: str, show: Callable[[float], str]) -> Markup:
    """Dots with whiskers, on an axis that is no longer than they need.

    Args:
        rows: From top to bottom.
        title: What is shown, for people who do not see it.
        show: A value in words.
    """
    shown = [x for row in rows for x in (row.metric.value, *(row.metric.interval or ()))]
    return _chart(
        rows,
        title,
        show,
        lambda start, stop: scale_of(min(shown), max(shown), start, stop),
        bars=False,
    )


def _chart(
    rows: Sequence[Row],
    title: str,
    show: Callable[[float], str],
    scale: Callable[[float, float], Scale],
    *,
    bars: bool,
) -> Markup:
    names = [cut(row.name, MOST_LETTERS) for row in rows]
    left = 14 + LETTER * max(len(name) for name in names)
    x = scale(left, WIDTH - 70.0)
    row_height = BAR_ROW if bars else DOT_ROW
    height = row_height * len(rows) + BOTTOM
    drawn = []
    for position, (name, row) in enumerate(zip(names, rows, strict=True)):
        middle = row_height * (position + 0.5)
        drawn += [*_row(row, x, middle, bars=bars)]
        drawn.append(tag("text", name, at={"x": left - 10, "y": middle + 4, "text-anchor": "end"}))
        place: dict[str, str | float] = {"x": WIDTH, "y": middle + 4, "text-anchor": "end"}
        drawn.append(tag("text.strong", show(row.metric.value), at=place))
    return tag(
        "svg.chart",
        tag("title", title),
        *_axis(x, height, show),
        *drawn,
        at={"viewBox": f"0 0 {WIDTH} {height}", "role": "img"},
    )


def _axis(x: Scale, height: float, show: Callable[[float], str]) -> Iterator[Markup]:
    for value in x.ticks(4):
        place = x(value)
        yield tag("line.grid", at={"x1": place, "x2": place, "y1": 0, "y2": height - BOTTOM + 4})
        at: dict[str, str | float] = {"x": place, "y": height - 6, "text-anchor": "middle"}
        yield tag("text", show(value), at=at)


def _row(row: Row, x: Scale, middle: float, *, bars: bool) -> Iterator[Markup]:
    metric = row.metric
    value = x(metric.value)
    if bars:
        wide = max(value - x.start, 0.5)
        bar = {"x": x.start, "y": middle - THICK / 2, "width": wide, "height": THICK, "rx": 2.0}
        yield tag(f"rect.bar.{row.style}", at=bar)
    if metric.interval is not None:
        low, high = (x(end) for end in metric.interval)
        at = {"x1": low, "x2": high, "y1": middle, "y2": middle}
        yield tag("line.whisker", at=at)
        for end in (low, high):
            yield tag("line.whisker", at={"x1": end, "x2": end, "y1": middle - 4, "y2": middle + 4})
    if not bars:
        yield tag(f"circle.mark.{row.style}", at={"cx": value, "cy": middle, "r": 4.5})
