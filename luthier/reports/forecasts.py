"""Some forecasts beside what came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from luthier.reports.amounts import count, number, percent
from luthier.reports.data import ShownForecast
from luthier.reports.markup import Markup, tag
from luthier.reports.page import Section, panel, section
from luthier.reports.scale import Scale, scale_of

WIDTH, HEIGHT = 460, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 40
_TRUTH, _SAID = "train", "validation"
"""Styles of the page: what was measured is grey, what the network said has the accent."""


def forecasts_section(shown: Sequence[ShownForecast]) -> Section | None:
    """A chart for each; none where there are none."""
    if not shown:
        return None
    levels = shown[0].levels
    band = ""
    if levels:
        share = percent(levels[-1] - levels[0], 0)
        band = f" The band lies between the outermost quantiles: {share} of the values should."
    return section(
        "Forecasts",
        "What it forecasts",
        "Some windows at equal distances over the split, in the units of the table: what was read "
        f"and what came in grey, the forecast in colour.{band}",
        tag("div.columns", *(panel(one.title, _chart(one)) for one in shown)),
    )


def _chart(one: ShownForecast) -> Markup:
    steps, horizon = len(one.read), len(one.said)
    values = np.concatenate([one.read, one.truth, one.said.ravel()])
    values = values[np.isfinite(values)]
    x = scale_of(-steps, horizon, LEFT, WIDTH - RIGHT, round_out=False)
    y = scale_of(float(values.min()), float(values.max()), HEIGHT - BOTTOM, TOP)
    after = np.arange(1, horizon + 1)
    middle = one.said[:, one.levels.index(0.5) if one.levels else 0]
    drawn = [
        *_axes(x, y),
        _line(np.arange(1 - steps, 1), one.read, x, y, _TRUTH),
        _line(after, one.truth, x, y, _TRUTH),
    ]
    if one.levels:
        around = np.concatenate([after, after[::-1]])
        edge = np.concatenate([one.said[:, -1], one.said[::-1, 0]])
        drawn.append(tag(f"polygon.band.{_SAID}", at={"points": _points(around, edge, x, y)}))
    drawn.append(_line(after, middle, x, y, _SAID))
    return tag(
        "svg.chart",
        tag("title", one.title),
        *_legend(),
        *drawn,
        at={"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img"},
    )


def _axes(x: Scale, y: Scale) -> Iterator[Markup]:
    for value in y.ticks(4):
        place = y(value)
        yield tag("line.grid", at={"x1": LEFT, "x2": WIDTH - RIGHT, "y1": place, "y2": place})
        at: dict[str, str | float] = {"x": LEFT - 8, "y": place + 4, "text-anchor": "end"}
        yield tag("text", number(value), at=at)
    bottom = HEIGHT - BOTTOM
    yield tag("line.ideal", at={"x1": x(0), "x2": x(0), "y1": TOP, "y2": bottom})
    yield tag("line.axis", at={"x1": LEFT, "x2": WIDTH - RIGHT, "y1": bottom, "y2": bottom})
    for value in x.ticks():
        at = {"x": x(value), "y": bottom + 18, "text-anchor": "middle"}
        yield tag("text", count(value), at=at)
    at = {"x": (LEFT + WIDTH - RIGHT) / 2, "y": HEIGHT - 5, "text-anchor": "middle"}
    yield tag("text", "steps from the last one that was read", at=at)


def _legend() -> Iterator[Markup]:
    for left, name, style in ((LEFT, "measured", _TRUTH), (LEFT + 110, "forecast", _SAID)):
        yield tag(f"line.line.{style}", at={"x1": left, "x2": left + 16, "y1": 12, "y2": 12})
        yield tag("text", name, at={"x": left + 22, "y": 16})


def _line(steps: np.ndarray, values: np.ndarray, x: Scale, y: Scale, style: str) -> Markup:
    kept = np.isfinite(values)
    points = _points(steps[kept], values[kept], x, y)
    return tag(f"polyline.line.{style}", at={"points": points})


def _points(steps: np.ndarray, values: np.ndarray, x: Scale, y: Scale) -> str:
    pairs = zip(steps.tolist(), values.tolist(), strict=True)
    return " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in pairs)
