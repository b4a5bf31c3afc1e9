"""Stretches of time in which the same rows are read.

Kernels of recurrent networks read rows of equal length. Rows of different lengths run through
them in stretches, each with the rows that are there: always the first ones of a sorted batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CALL_POSITIONS = 200
"""What one more call of a kernel costs, in positions that could be read instead.

Measured with oneDNN's LSTM on one core, forward and backward, widths 100 to 256, float32 and
bfloat16: most of a call's cost is to lay out the weights, which grows as that of a position."""


class Stretch(NamedTuple):
    """Positions `start` to before `stop` of the first `rows` rows."""

    start: int
    stop: int
    rows: int


def as_rows_end(lengths: Sequence[int], call_positions: int = CALL_POSITIONS) -> list[Stretch]:
    """Stretches of rows that all begin at 0, few of which read on behind the end of their row.

    Args:
        lengths: Positions of each row, the longest first.
        call_positions: What one more stretch may cost, in positions.

    Example:
        >>> as_rows_end([900, 400, 400])
        [Stretch(start=0, stop=400, rows=3), Stretch(start=400, stop=900, rows=1)]
        >>> as_rows_end([50, 40, 40])
        [Stretch(start=0, stop=50, rows=3)]
    """
    whole = Stretch(0, lengths[0], len(lengths))
    todo, done = [whole], []
    while todo:
        stretch = todo.pop()
        saved, cut, rows = max(_cuts(lengths, stretch), default=(0, 0, 0))
        if saved <= call_positions:
            done.append(stretch)
        else:
            todo.append(Stretch(cut, stretch.stop, rows))
            todo.append(Stretch(stretch.start, cut, stretch.rows))
    return done


def _cuts(lengths: Sequence[int], stretch: Stretch) -> list[tuple[int, int, int]]:
    """For each end of a row inside of `stretch`: the positions that a cut there saves, where it
    is, and the rows that are left behind it."""
    cuts = []
    for row in range(1, stretch.rows):
        end = lengths[row]
        if stretch.start < end < stretch.stop and lengths[row - 1] > end:
            cuts.append(((stretch.rows - row) * (stretch.stop - end), end, row))
    return cuts


def as_rows_begin(begins: Sequence[int], stop: int) -> list[Stretch]:
    """Stretches of rows that all reach to `stop`, none of which is read before it begins.

    Args:
        begins: The first position of each row, in rising order; from `stop` on, a row is in no
            stretch.
        stop: Behind the last position.

    Example:
        >>> as_rows_begin([0, 2, 2], 5)
        [Stretch(start=0, stop=2, rows=1), Stretch(start=2, stop=5, rows=3)]
    """
    starts = sorted({0, *(begin for begin in begins if begin < stop)})
    stops = [*starts[1:], stop]
    return [
        Stretch(start, end, sum(begin <= start for begin in begins))
        for start, end in zip(starts, stops, strict=True)
    ]
