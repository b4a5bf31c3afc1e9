"""Charts: well-formed, inside of their frame, with what they must show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.metrics.calibration import reliability_bins
from luthier.metrics.interval import Metric, wilson
from luthier.reports.amounts import percent
from luthier.reports.interval_chart import Row, bar_chart, dot_chart
from luthier.reports.line_chart import HEIGHT, MOST_POINTS, WIDTH, Line, line_chart
from luthier.reports.quantity import quantity
from luthier.reports.reliability_chart import reliability_chart
from luthier.reports.scale import Scale, scale_of


def drawn(svg: str, name: str, style: str = "") -> list[ElementTree.Element]:
    """The elements called `name`, of a class."""
    return [
        part
        for part in ElementTree.fromstring(svg).iter(name)
        if style in part.get("class", "").split() or not style
    ]


def words(svg: str) -> list[str]:
    return ["".join(part.itertext()) for part in drawn(svg, "text")]


def points(part: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = [pair.split(",") for pair in part.get("points", "").split()]
    return [(float(x), float(y)) for x, y in pairs]


def line(values: list[float] | np.ndarray, name: str = "train") -> Line:
    return Line(
        name=name, style="train", steps=np.arange(1, len(values) + 1), values=np.array(values)
    )


def test_a_line_rises_with_its_values() -> None:
    svg = line_chart([line([0.1, 0.2, 0.4])], quantity("accuracy"))
    (drawing,) = drawn(svg, "polyline")
    places = points(drawing)
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)
    assert "train 40.00\u202f%" in words(svg)
    assert "step" in words(svg)
    assert {"10\u202f%", "40\u202f%"} <= set(words(svg))


def test_the_axis_is_logarithmic_where_the_values_ask_for_it() -> None:
    decays = [10.0**-power for power in range(5)]
    svg = line_chart([line(decays)], quantity("loss"))
    places = [y for _, y in points(drawn(svg, "polyline")[0])]
    np.testing.assert_allclose(np.diff(places), np.diff(places)[0], atol=0.2)
    assert {"1", "0.1", "0.01", "0.001", "0.0001"} <= set(words(svg))
    for name in ("accuracy", "learning_rate"):  # shares and schedules never
        places = [
            y for _, y in points(drawn(line_chart([line(decays)], quantity(name)), "polyline")[0])
        ]
        assert np.ptp(np.diff(places)) > 10


def test_what_is_not_finite_is_left_out() -> None:
    svg = line_chart([line([1.0, np.nan, 2.0, np.inf]), line([np.nan])], quantity("loss"))
    assert [len(points(part)) for part in drawn(svg, "polyline")] == [2]
    with pytest.raises(AssertionError, match="a chart of nothing"):
        line_chart([line([np.nan])], quantity("loss"))


def test_many_points_are_a_mean_in_a_band() -> None:
    noisy = np.random.default_rng(0).uniform(1, 2, 10_000)
    svg = line_chart([line(noisy)], quantity("loss"))
    assert len(points(drawn(svg, "polyline")[0])) == MOST_POINTS
    assert len(points(drawn(svg, "polygon", "band")[0])) == 2 * MOST_POINTS
    assert len(svg) < 20_000
    means = [y for _, y in points(drawn(svg, "polyline")[0])]
    edges = [y for _, y in points(drawn(svg, "polygon")[0])]
    assert min(edges) < min(means) < max(means) < max(edges)


def test_one_point_and_one_value() -> None:
    for values in ([0.5], [0.5, 0.5], [0.0, 0.0]):
        svg = line_chart([line(values)], quantity("loss"))
        assert all(0 <= y <= HEIGHT for _, y in points(drawn(svg, "polyline")[0]))


def test_a_long_legend_takes_rows() -> None:
    lines = [line([1.0, 2.0], name=f"run with a very long name {number}") for number in range(6)]
    svg = line_chart(lines, quantity("loss"))
    names = [part for part in drawn(svg, "text") if "run with" in "".join(part.itertext())]
    assert len({part.get("y") for part in names}) == 6
    assert all(len("".join(part.itertext())) < 32 for part in names)


finite = st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-9)


@given(finite, finite)
def test_ticks_are_round_and_inside(one: float, other: float) -> None:
    scale = scale_of(min(one, other), max(one, other), 0.0, 100.0)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert list(ticks) == sorted(set(ticks))
    slack = (scale.high - scale.low) * 1e-6
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)
    assert scale.low - slack <= one <= scale.high + slack


@given(st.floats(1e-9, 1e9), st.floats(1.0, 1e9))
def test_logarithmic_ticks(low: float, ratio: float) -> None:
    scale = scale_of(low, low * ratio, 0.0, 100.0, log=True)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 12
    assert all(scale.low <= tick <= scale.high for tick in ticks)


def test_a_scale() -> None:
    scale = Scale(0.0, 10.0, 100.0, 200.0)
    assert [scale(value) for value in (-5, 0, 5, 10, 99)] == [100, 100, 150, 200, 200]
    assert Scale(1.0, 100.0, 0.0, 2.0, log=True)(10.0) == pytest.approx(1.0)
    assert scale_of(0.13, 0.87, 0, 1).low == 0.0
    assert scale_of(0.13, 0.87, 0, 1).high == 1.0
    assert scale_of(3, 97, 0, 1, round_out=False).low == 3


def test_bars_and_dots() -> None:
    rows = [Row(name="cat", metric=wilson(9, 10)), Row(name="<dog>" * 9, metric=wilson(1, 10))]
    for chart in (bar_chart, dot_chart):
        svg = chart(rows, "F1", lambda value: percent(value, 0))
        assert "cat" in words(svg)
        assert any(word.startswith("<dog>") and word.endswith("…") for word in words(svg))
        assert {"90\u202f%", "10\u202f%"} <= set(words(svg))
        for whisker in drawn(svg, "line", "whisker"):
            assert 0 <= float(whisker.get("x1", "-1")) <= WIDTH
    wide, narrow = (
        float(part.get("width", "")) for part in drawn(bar_chart(rows, "F1", str), "rect", "bar")
    )
    assert wide == pytest.approx(9 * narrow, rel=0.01)


def test_dots_far_from_zero_are_told_apart() -> None:
    rows = [
        Row(name=str(value), metric=Metric(value=value, low=value - 1e-3, high=value + 1e-3, n=9))
        for value in (0.990, 0.995)
    ]
    left, right = (float(part.get("cx", "")) for part in drawn(dot_chart(rows, "a", str), "circle"))
    assert right - left > WIDTH / 4


def test_reliability() -> None:
    probability = np.array([0.55, 0.95, 0.97, 0.99])
    bins = reliability_bins(probability, np.array([True, True, True, False]))
    svg = reliability_chart(bins)
    low, high = drawn(svg, "circle")
    assert float(low.get("cx", "")) < float(high.get("cx", ""))
    assert float(low.get("cy", "")) < float(high.get("cy", ""))  # right one time of one: on top
    titles = [part.text or "" for part in drawn(svg, "title")]
    expected = re.compile(r"3 examples with confidence 97\.0.%: 66\.7.% right")
    assert any(expected.search(said) for said in titles)
    heights = [float(part.get("height", "")) for part in drawn(svg, "rect")]
    assert heights[1] == pytest.approx(3 * heights[0], rel=0.01)
