"""Stated confidence against actual accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luthier.metrics.calibration import Bin
from luthier.reports.amounts import NARROW, count, percent
from luthier.reports.markup import Markup, tag
from luthier.reports.scale import Scale

WIDTH, HEIGHT = 460, 346
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 26, 104
STRIP = 44
"""Height of the strip below, that shows how many examples there are."""


def reliability_chart(bins: Sequence[Bin]) -> Markup:
    """A reliability diagram: dots on the diagonal are honest, below it too sure.

    The bars below show how many examples had that confidence, the tallest being the most.

    Args:
        bins: From `luthier.metrics.calibration.reliability_bins`.
    """
    x = Scale(0.0, 1.0, LEFT, WIDTH - RIGHT)
    y = Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    return tag(
        "svg.chart",
        tag("title", "Accuracy by confidence"),
        *_axes(x, y),
        *_strip(bins, x),
        *(part for found in bins for part in _dot(found, x, y)),
        at={"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img"},
    )


def _axes(x: Scale, y: Scale) -> Iterator[Markup]:
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        place = y(value)
        yield tag("line.grid", at={"x1": LEFT, "x2": WIDTH - RIGHT, "y1": place, "y2": place})
        yield tag(
            "text", percent(value, 0), at={"x": LEFT - 8, "y": place + 4, "text-anchor": "end"}
        )
        label = f"{100 * value:.0f}{NARROW}%"
        at: dict[str, str | float] = {"x": x(value), "y": HEIGHT - 24, "text-anchor": "middle"}
        if value == 1.0:
            at = {"x": x(value) + RIGHT, "y": HEIGHT - 24, "text-anchor": "end"}
        yield tag("text", label, at=at)
    yield tag("line.ideal", at={"x1": x(0), "x2": x(1), "y1": y(0), "y2": y(1)})
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield tag("text", "confidence", at={"x": middle, "y": HEIGHT - 6, "text-anchor": "middle"})
    yield tag("text", "accuracy", at={"x": LEFT - 8, "y": 12, "text-anchor": "end"})


def _strip(bins: Sequence[Bin], x: Scale) -> Iterator[Markup]:
    most = max(found.accuracy.n for found in bins)
    bottom = HEIGHT - 42
    for found in bins:
        height = max(STRIP * found.accuracy.n / most, 1.0)
        left, right = x(found.low) + 1, x(found.high) - 1
        box = {"x": left, "y": bottom - height, "width": right - left, "height": height}
        said = tag("title", f"{count(found.accuracy.n)} examples")
        yield tag("rect.bar.train", said, at=box)
    yield tag("line.axis", at={"x1": LEFT, "x2": WIDTH - RIGHT, "y1": bottom, "y2": bottom})


def _dot(found: Bin, x: Scale, y: Scale) -> Iterator[Markup]:
    place = x(found.confidence)
    metric = found.accuracy
    said = (
        f"{count(metric.n)} examples with confidence {percent(found.confidence)}: "
        f"{percent(metric.value)} right"
    )
    if metric.interval is not None:
        low, high = metric.interval
        yield tag("line.whisker", at={"x1": place, "x2": place, "y1": y(low), "y2": y(high)})
    at = {"cx": place, "cy": y(metric.value), "r": 4.5}
    yield tag("circle.mark.validation", tag("title", said), at=at)
