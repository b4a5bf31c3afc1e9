"""The pieces of a network's picture, as SVG: boxes, arrows, frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from luthier.signal import Signal

BOX_WIDTH = 250.0
LINE = 15.0
GAP = 34.0
PADDING = 18.0
LANE = 34.0
"""Room beside a frame's content, for the line of a shortcut."""
JOIN_RADIUS = 10.0


@dataclass(frozen=True)
class Figure:
    """A piece of the picture. The signal enters at `(axis, 0)` and leaves at `(axis, height)`."""

    width: float
    height: float
    axis: float
    body: str
    """SVG elements, with the piece's upper left corner as their origin."""

    def at(self, x: float, y: float) -> str:
        """The elements, moved."""
        return f'<g transform="translate({x:g} {y:g})">{self.body}</g>'


def text(x: float, y: float, words: str, style: str, anchor: str = "start") -> str:
    """One line of text."""
    return (
        f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'
    )


def line(*points: tuple[float, float], arrow: bool = False, style: str = "flow") -> str:
    """A line through `points`, with an arrow's head at its end if wanted."""
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    drawn = f'<polyline class="{style}" points="{path}"/>'
    if not arrow:
        return drawn
    (x0, y0), (x, y) = points[-2], points[-1]
    length = math.hypot(x - x0, y - y0)
    dx, dy = 6 * (x - x0) / length, 6 * (y - y0) / length
    corners = ((x, y), (x - dx - dy / 2, y - dy + dx / 2), (x - dx + dy / 2, y - dy - dx / 2))
    head = " ".join(f"{px:g},{py:g}" for px, py in corners)
    return f'{drawn}<polygon class="head" points="{head}"/>'


def box(title: str, details: Sequence[str], count: str, gives: Signal, family: str) -> Figure:
    """A block: what it is, its settings, its parameters, and the shape that it gives as a solid."""
    lines = _wrapped(details, 30)
    height = 34.0 + LINE * len(lines)
    parts = [
        f'<rect class="box {family}" width="{BOX_WIDTH:g}" height="{height:g}" rx="7"/>',
        text(14, 22, title, "title"),
        *(text(14, 39 + LINE * row, words, "detail") for row, words in enumerate(lines)),
        _solid(gives, BOX_WIDTH - 30, height / 2, family),
    ]
    if count:
        parts.append(text(BOX_WIDTH - 62, 22, count, "count", "end"))
    return Figure(BOX_WIDTH, height, BOX_WIDTH / 2, "".join(parts))


def pill(words: str) -> Figure:
    """The two ends of the network."""
    width, height = 8.0 * len(words) + 24, 28.0
    body = (
        f'<rect class="pill" width="{width:g}" height="{height:g}" rx="14"/>'
        f"{text(width / 2, 19, words, 'title', 'middle')}"
    )
    return Figure(width, height, width / 2, body)


def stack(figures: Sequence[Figure], labels: Sequence[str]) -> Figure:
    """Pieces below each other, with an arrow and a label between each two."""
    if not figures:
        return Figure(
            BOX_WIDTH / 3, GAP, BOX_WIDTH / 6, line((BOX_WIDTH / 6, 0), (BOX_WIDTH / 6, GAP))
        )
    axis = max(figure.axis for figure in figures)
    width = axis + max(figure.width - figure.axis for figure in figures)
    y, parts = 0.0, []
    for position, figure in enumerate(figures):
        if position:
            parts.append(line((axis, y), (axis, y + GAP), arrow=True))
            parts.append(text(axis + 10, y + GAP / 2 + 4, labels[position - 1], "label"))
            y += GAP
        parts.append(figure.at(axis - figure.axis, y))
        y += figure.height
    return Figure(width, y, axis, "".join(parts))


def around(inner: Figure, shortcut: str, after: str) -> Figure:
    """A residual: `inner`, a line around it, and the addition where both meet.

    Args:
        inner: The layers.
        shortcut: What the line around does to the signal, in words.
        after: The activation behind the addition, in words.
    """
    axis = PADDING + inner.axis
    side = PADDING + inner.width + LANE / 2 + 6
    top, join = PADDING + 16, PADDING + 16 + inner.height + 30
    width, height = side + LANE, join + JOIN_RADIUS + PADDING
    parts = [
        f'<rect class="frame" width="{width:g}" height="{height:g}" rx="10"/>',
        line((axis, 0), (axis, top), arrow=True),
        inner.at(PADDING, top),
        line((axis, top + inner.height), (axis, join - JOIN_RADIUS), arrow=True),
        line(
            (axis, 12),
            (side, 12),
            (side, join),
            (axis + JOIN_RADIUS, join),
            arrow=True,
            style="skip",
        ),
        _join("+", axis, join),
        text(side - 10, join - 8, shortcut, "label", "end"),
        text(axis - JOIN_RADIUS - 8, join + 4, after, "detail", "end"),
        line((axis, join + JOIN_RADIUS), (axis, height)),
    ]
    return Figure(width, height, axis, "".join(parts))


def beside(branches: Sequence[Figure], join: str) -> Figure:
    """Parallel branches, side by side between two bars, and how they are joined."""
    top, reach = 26.0, max(branch.height for branch in branches)
    x, spots, parts = PADDING, [], []
    for branch in branches:
        spots.append(x + branch.axis)
        parts.append(line((x + branch.axis, 12), (x + branch.axis, top), arrow=True))
        parts.append(branch.at(x, top))
        parts.append(
            line((x + branch.axis, top + branch.height), (x + branch.axis, top + reach + 14))
        )
        x += branch.width + PADDING
    axis, foot = x / 2, top + reach + 14
    joint = foot + 12 + JOIN_RADIUS
    parts += [
        line((axis, 0), (axis, 12)),
        line((spots[0], 12), (spots[-1], 12)),
        line((spots[0], foot), (spots[-1], foot)),
        line((axis, foot), (axis, joint - JOIN_RADIUS), arrow=True),
        _join("+" if join == "add" else "&", axis, joint),
        text(axis + JOIN_RADIUS + 8, joint + 4, join, "label"),
        line((axis, joint + JOIN_RADIUS), (axis, joint + JOIN_RADIUS + 8)),
    ]
    height = joint + JOIN_RADIUS + 8
    frame = f'<rect class="frame" width="{x:g}" height="{height:g}" rx="10"/>'
    return Figure(x, height, axis, frame + "".join(parts))


def repeated(inner: Figure, times: str) -> Figure:
    """Copies of `inner`, drawn as one card on a pile."""
    width, height = inner.width + 2 * PADDING, inner.height + 2 * PADDING
    axis = PADDING + inner.axis
    card = f'<rect class="card" width="{width:g}" height="{height:g}" rx="10"/>'
    cards = "".join(Figure(width, height, axis, card).at(shift, shift) for shift in (8, 4, 0))
    parts = [
        cards,
        line((axis, 0), (axis, PADDING)),
        inner.at(PADDING, PADDING),
        line((axis, PADDING + inner.height), (axis, height + 8)),
        text(width - 10, 15, times, "times", "end"),
    ]
    return Figure(width + 8, height + 8, axis, "".join(parts))


def _join(sign: str, x: float, y: float) -> str:
    circle = f'<circle class="join" cx="{x:g}" cy="{y:g}" r="{JOIN_RADIUS:g}"/>'
    return circle + text(x, y + 5, sign, "sign", "middle")


def _solid(signal: Signal, x: float, y: float, family: str) -> str:
    """A signal as a solid around `(x, y)`, its edges about the square roots of its sizes.

    An image is a block as deep as its channels, a sequence a sheet, a vector a bar.
    """
    size = [min(32.0, 4 * edge**0.45) for edge in signal.shape]
    match signal.form:
        case "image":
            deep, high, wide = size[0] * 0.5, size[1], size[2]
        case "sequence":
            deep, high, wide = 3.0, size[1], size[0]
        case _:
            deep, high, wide = 3.0, size[0], 6.0
    shrink = min(1.0, 40 / (wide + deep), 36 / (high + deep))
    deep, high, wide = deep * shrink, high * shrink, wide * shrink
    left, top = x - (wide + deep) / 2, y - (high - deep) / 2
    right, bottom = left + wide, top + high
    faces = (
        ((left, top), (right, top), (right, bottom), (left, bottom)),
        ((left, top), (left + deep, top - deep), (right + deep, top - deep), (right, top)),
        ((right, top), (right + deep, top - deep), (right + deep, bottom - deep), (right, bottom)),
    )
    return "".join(
        f'<polygon class="solid {family}" points="'
        + " ".join(f"{px:.1f},{py:.1f}" for px, py in face)
        + '"/>'
        for face in faces
    )


def _wrapped(details: Sequence[str], columns: int) -> list[str]:
    """The details in lines of about `columns` characters."""
    lines: list[str] = []
    for detail in details:
        if lines and len(lines[-1]) + len(detail) + 3 <= columns:
            lines[-1] += f" · {detail}"
        else:
            lines.append(detail)
    return lines
