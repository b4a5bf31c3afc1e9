"""Few rows for items of given lengths.

Dimension key, for the whole file:
    P  items
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

FILLED_UP_TO = 2048
"""The largest capacity whose rows are filled one kind after the other: beyond, that takes long,
and best-fit leaves less than a thousandth empty."""


def row_of_each(lengths: Numbers, capacity: int) -> Numbers:
    """`(P,)`, a row for each item, so that no row holds more than `capacity`.

    Args:
        lengths: `(P,)`, from 1 to `capacity`.
        capacity: Of a row.

    Example:
        >>> row_of_each(np.array([3, 6, 2, 5]), capacity=8).tolist()
        [1, 0, 0, 1]
    """
    assert not len(lengths) or 0 < lengths.min() <= lengths.max() <= capacity, "an item fits no row"
    return (fullest if capacity <= FILLED_UP_TO else best_fit)(lengths, capacity)


def fullest(lengths: Numbers, capacity: int) -> Numbers:
    """The longest item that is left, with those others that fill its row best; and so on.

    Of items that fill a row equally well, the longer ones are taken. What fills one row fills as
    many as there are such items: so it takes as many steps as there are kinds of rows. Where few
    lengths are frequent, as in poems of fixed forms, it leaves half as much empty as best-fit.

    Source:
        Minimum bin slack, Gupta and Ho 1999 (A new heuristic algorithm for the one-dimensional
        bin-packing problem); here by the sums that can be reached, and for all equal rows at once.
    """
    row_of_item = np.empty(len(lengths), dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    present, group_starts = np.unique(lengths[order], return_index=True)
    groups = np.split(order, group_starts[1:])
    left = dict(zip(present.tolist(), groups, strict=True)) if len(order) else {}
    counts = {length: len(items) for length, items in left.items()}
    ascending, opened = sorted(left), 0
    while ascending:
        row = _best_row(ascending, counts, capacity)
        rows = min(counts[length] // times for length, times in row.items())
        for length, times in row.items():
            taken, left[length] = np.split(left[length], [rows * times])
            row_of_item[taken] = np.repeat(np.arange(opened, opened + rows), times)
            counts[length] -= rows * times
            if not counts[length]:
                ascending.remove(length)
        opened += rows
    return row_of_item


def _best_row(ascending: Sequence[int], counts: Mapping[int, int], capacity: int) -> dict[int, int]:
    """How often each length is in the fullest row that has the longest item in it."""
    longest = ascending[-1]
    room = capacity - longest
    within = (1 << (room + 1)) - 1
    sums, steps = 1, []  # bit s of `sums`: other items fill s
    for place in range(bisect.bisect_right(ascending, room) - 1, -1, -1):
        length = ascending[place]
        free = min(counts[length] - (length == longest), room // length)
        times = 1  # 1, 2, 4 and so on, and the rest: their sums are all numbers up to `free`
        while free > 0:
            times = min(times, free)
            new = (sums << (length * times)) & within & ~sums
            if new:
                steps.append((length, times, new))
                sums |= new
            free -= times
            times *= 2
        if sums >> room & 1:
            break
    row, filled = {longest: 1}, sums.bit_length() - 1
    for length, times, new in reversed(steps):
        if new >> filled & 1:
            row[length] = row.get(length, 0) + times
            filled -= length * times
    assert filled == 0, "a sum was reached by no item"
    return row


def best_fit(lengths: Numbers, capacity: int) -> Numbers:
    """The longest first, each where it leaves the least room.

    All items of a length are placed at once, into all rows with the same room: so it takes as
    many steps as there are pairs of a length and a room, not as there are items.

    Source:
        Best-fit decreasing: Johnson et al. 1974 (Worst-case performance bounds for simple
        one-dimensional packing algorithms): at most 11/9 of the fewest rows, and 4 more.
    """
    row_of_item = np.empty(len(lengths), dtype=np.int64)
    rows_with: dict[int, Numbers] = {}
    has_rows = np.zeros(capacity + 1, dtype=bool)
    opened = 0
    order = np.argsort(-lengths, kind="stable")
    _, group_starts = np.unique(-lengths[order], return_index=True)
    for group in np.split(order, group_starts[1:]):
        left, length = group, int(lengths[group[0]]) if len(group) else 0
        while len(left):
            room = length + int(np.argmax(has_rows[length:]))
            if has_rows[room]:
                rows = rows_with[room]
            else:
                room = capacity
                rows = np.arange(opened, opened + -(-len(left) // (capacity // length)))
                opened += len(rows)
            each = room // length
            used = min(len(rows), -(-len(left) // each))
            placed, left = left[: used * each], left[used * each :]
            row_of_item[placed] = np.repeat(rows[:used], each)[: len(placed)]
            last = len(placed) - (used - 1) * each
            _put(rows_with, has_rows, room, rows[used:], anew=True)
            _put(rows_with, has_rows, room - each * length, rows[: used - 1])
            _put(rows_with, has_rows, room - last * length, rows[used - 1 : used])
    return row_of_item


def _put(
    rows_with: dict[int, Numbers],
    has_rows: NDArray[np.bool_],
    room: int,
    rows: Numbers,
    anew: bool = False,
) -> None:
    """Note that these rows have so much room left; anew: these and no others."""
    if not anew and has_rows[room]:
        rows = np.concatenate([rows_with[room], rows])
    rows_with[room] = rows
    has_rows[room] = len(rows) > 0
