"""Lines over the steps of a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.reports.amounts import count, cut, short
from luthier.reports.markup import Markup, join, tag
from luthier.reports.quantity import Quantity
from luthier.reports.scale import Scale, scale_of

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 42
LEGEND_ROW = 22
LETTER = 7.2
"""The width of a letter of the legend, about."""
MOST_LETTERS = 24
MOST_POINTS = 240
"""More are drawn as the mean of each stretch, with its least and greatest behind it."""
MOST_MARKS = 40
"""Up to so many points are drawn as marks, that name their values."""
LOG_FROM = 30.0
"""The ratio of greatest to least from which only a logarithmic axis shows both."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart."""

    name: str
    style: str
    """A class of the style sheet: `train`, `validation`, `run0` to `run5`."""
    steps: np.ndarray
    values: np.ndarray

    def finite(self) -> Line:
        """The line without the values that are not finite."""
        keep = np.isfinite(self.values)
        return Line(
            name=self.name, style=self.style, steps=self.steps[keep], values=self.values[keep]
        )


def line_chart(lines: Sequence[Line], quantity: Quantity, *, x_title: str = "step") -> Markup:
    """A chart of `lines`, with axes and a legend that gives each line's last value.

    The vertical axis is logarithmic where the values ask for it: not for shares and schedules,
    whose shape it would hide.

    Args:
        lines: At least one with a finite value.
        quantity: What is measured, for the labels.
        x_title: What the steps are.
    """
    lines = [line for line in (line.finite() for line in lines) if len(line.values)]
    assert lines, "a chart of nothing"
    legend, legend_rows = _legend(lines, quantity)
    top = TOP + LEGEND_ROW * legend_rows
    x, y = _scales(lines, top, quantity)
    drawn = [part for line in lines for part in _draw(line, x, y, quantity)]
    return tag(
        "svg.chart",
        tag("title", f"{quantity.title} over the {x_title}s"),
        legend,
        *_axes(x, y, quantity, x_title),
        *drawn,
        at={"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img"},
    )


def _scales(lines: Sequence[Line], top: float, quantity: Quantity) -> tuple[Scale, Scale]:
    steps = np.concatenate([line.steps for line in lines])
    values = np.concatenate([line.values for line in lines])
    least, greatest = float(values.min()), float(values.max())
    log = not (quantity.is_share or quantity.is_schedule)
    log = log and least > 0 and greatest / least >= LOG_FROM
    x = scale_of(
        float(steps.min()), float(steps.max()), LEFT + 6, WIDTH - RIGHT - 6, round_out=False
    )
    return x, scale_of(least, greatest, HEIGHT - BOTTOM, top, log=log)


def _axes(x: Scale, y: Scale, quantity: Quantity, x_title: str) -> Iterator[Markup]:
    ticks = y.ticks()
    decimals = _decimals(ticks) if quantity.is_share else 1
    for value in ticks:
        place = y(value)
        yield tag("line.grid", at={"x1": LEFT, "x2": WIDTH - RIGHT, "y1": place, "y2": place})
        label = quantity.show(value, decimals)
        yield _label(label, LEFT - 8, place + 4, "end")
    bottom = HEIGHT - BOTTOM
    yield tag("line.axis", at={"x1": LEFT, "x2": WIDTH - RIGHT, "y1": bottom, "y2": bottom})
    for value in x.ticks():
        place = x(value)
        yield tag("line.axis", at={"x1": place, "x2": place, "y1": bottom, "y2": bottom + 4})
        yield _label(short(value) if value >= 10_000 else count(value), place, bottom + 18)
    yield _label(x_title, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6)


def _decimals(ticks: Sequence[float]) -> int:
    """The decimals that tell percentages apart."""
    step = min((b - a for a, b in itertools.pairwise(ticks)), default=1.0)
    return next((digits for digits in range(3) if step * 100 >= 0.999 * 10.0**-digits), 3)


def _label(words: str, x: float, y: float, anchor: str = "middle") -> Markup:
    return tag("text", words, at={"x": x, "y": y, "text-anchor": anchor})


def _draw(line: Line, x: Scale, y: Scale, quantity: Quantity) -> Iterator[Markup]:
    steps, middle = line.steps.astype(np.float64), line.values.astype(np.float64)
    if len(steps) > MOST_POINTS:
        stretches = np.array_split(np.arange(len(steps)), MOST_POINTS)
        low = [float(middle[part].min()) for part in stretches]
        high = [float(middle[part].max()) for part in stretches]
        steps = np.array([steps[part].mean() for part in stretches])
        middle = np.array([middle[part].mean() for part in stretches])
        edge = [*zip(steps, high, strict=True), *zip(steps[::-1], low[::-1], strict=True)]
        yield tag(f"polygon.band.{line.style}", at={"points": _points(edge, x, y)})
    pairs = [(float(step), float(value)) for step, value in zip(steps, middle, strict=True)]
    yield tag(f"polyline.line.{line.style}", at={"points": _points(pairs, x, y)})
    for step, value in pairs if len(pairs) <= MOST_MARKS else pairs[-1:]:
        said = f"{line.name}, {count(step)}: {quantity.show(value, 2)}"
        place = {"cx": x(step), "cy": y(value), "r": 2.6}
        yield tag(f"circle.mark.{line.style}", tag("title", said), at=place)


def _points(pairs: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    return " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in pairs)


def _legend(lines: Sequence[Line], quantity: Quantity) -> tuple[Markup, int]:
    """The legend, and its number of rows."""
    parts: list[Markup] = []
    left, row = float(LEFT), 0
    for line in lines:
        name = cut(line.name, MOST_LETTERS)
        last = "" if quantity.is_schedule else quantity.show(float(line.values[-1]), 2)
        width = 24 + LETTER * len(f"{name} {last}") + 14
        if left + width > WIDTH and left > LEFT:
            left, row = float(LEFT), row + 1
        middle = TOP + LEGEND_ROW * row + 2
        place = {"x1": left, "x2": left + 16, "y1": middle, "y2": middle}
        parts.append(tag(f"line.line.{line.style}", at=place))
        value = tag("tspan.strong", f" {last}")
        at = {"x": left + 22, "y": middle + 4}
        parts.append(tag("text", name, value, at=at))
        left += width
    return join(parts), row + 1
