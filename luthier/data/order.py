"""Which rows a step reads: a pure function of (seed, epoch, step)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from luthier.data.randomness import permutation


def epoch_order(rows: int, *, seed: int, epoch: int, shuffle: bool) -> NDArray[np.int64]:
    """The row numbers in the order in which `epoch` reads them; each row once."""
    if not shuffle:
        return np.arange(rows, dtype=np.int64)
    return permutation(rows, seed, epoch, "order")


def cuts(rows: int, size: int) -> tuple[tuple[int, int], ...]:
    """`rows` cut in pieces of `size`, as (start, stop).

    The last piece is shorter if it must be. A lone last row joins the piece before it, since
    a batch of one row has no variance for a batch norm to measure.

    Example:
        >>> cuts(10, 4)
        ((0, 4), (4, 8), (8, 10))
        >>> cuts(9, 4)
        ((0, 4), (4, 9))
    """
    assert rows >= 1, f"rows ({rows}) must be at least 1"
    assert size >= 1, f"size ({size}) must be at least 1"
    starts = list(range(0, rows, size))
    if size > 1 and len(starts) > 1 and rows - starts[-1] == 1:
        starts.pop()
    return tuple(zip(starts, [*starts[1:], rows], strict=True))
