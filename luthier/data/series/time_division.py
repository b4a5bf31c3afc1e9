"""Which rows of a series are for what, and the windows that lie in each part."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from luthier.data.collection import Split
from luthier.data.series.series import TimeSplitSpec
from luthier.data.series.series_table import OneSeries
from luthier.data.series.timing import read_time
from luthier.errors import DataError

Range = tuple[int, int]
"""The first row of a part, and the one behind its last."""


def divided(
    spec: TimeSplitSpec, one: OneSeries, *, numbered: bool = False
) -> Mapping[Split, Range]:
    """The rows of each part; a part that is not wanted is not there.

    Raises:
        DataError: If there are not so many rows; the message does not name the series.

    Example:
        >>> rows = OneSeries(name="", times=np.arange(100), values=np.zeros((100, 1)))
        >>> divided(TimeSplitSpec(validation=10, test=0.2), rows)
        {'train': (0, 70), 'validation': (70, 80), 'test': (80, 100)}
    """
    rows = one.steps
    if isinstance(spec.test, str) or isinstance(spec.validation, str):
        test = _begin(spec.test, one, numbered=numbered)
        train = test if spec.validation == 0 else _begin(spec.validation, one, numbered=numbered)
        bounds = (train, test, rows)
    else:
        validation, test = (_count(part, rows) for part in (spec.validation, spec.test))
        train = rows - validation - test if spec.train is None else _count(spec.train, rows)
        bounds = (train, train + validation, train + validation + test)
        if train <= 0 or bounds[2] > rows:
            wanted = f"{validation:,} for validation and {test:,} for test"
            wanted = wanted if spec.train is None else f"{train:,} for training, {wanted}"
            raise DataError(f"has {rows:,} rows; data.split wants {wanted}")
    train, validation, test = bounds
    if not 0 < train <= validation <= test:
        raise DataError(
            f"has its rows from {one.times[0]} to {one.times[-1]}; the dates of data.split leave "
            "nothing to train on"
        )
    for name, part, empty in (
        ("validation", spec.validation, validation == train),
        ("test", spec.test, test == validation),
    ):
        if part != 0 and empty:
            raise DataError(f"has no row for data.split.{name} ({part})")
    parts: dict[Split, Range] = {"train": (0, train)}
    if validation > train:
        parts["validation"] = (train, validation)
    if test > validation:
        parts["test"] = (validation, test)
    return parts


def _count(part: int | float | str, rows: int) -> int:
    assert not isinstance(part, str)
    return part if isinstance(part, int) else int(part * rows + 1e-9)


def _begin(part: int | float | str, one: OneSeries, *, numbered: bool) -> int:
    if part == 0:
        return one.steps
    assert isinstance(part, str)
    time, is_number = read_time(part)
    if is_number != numbered:
        kind = "plain numbers" if numbered else "dates"
        raise DataError(f'has {kind} as times, but data.split has "{part}"')
    return int(np.searchsorted(one.times, time))


def window_starts(
    part: Range, *, lookback: int, horizon: int, usable: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The first rows of all windows that forecast rows of `part` alone; what they read may lie
    before it.

    Args:
        part: The rows.
        lookback: Rows that are read.
        horizon: Rows that are forecast.
        usable: Whether the window that begins at a row may be used; none means all may.

    Example:
        >>> window_starts((10, 15), lookback=4, horizon=2).tolist()
        [6, 7, 8, 9]
    """
    first = max(part[0], lookback) - lookback
    starts = np.arange(first, max(first, part[1] - horizon - lookback + 1))
    return starts if usable is None else starts[usable[starts]]


def windows_without(bad_N: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """For each first row, whether none of the `size` rows from it on is bad.

    Rows too near to the end begin no window.

    Example:
        >>> windows_without(np.array([False, True, False, False]), 2).tolist()
        [False, False, True, False]
    """
    sums = np.concatenate([[0], np.cumsum(bad_N)])
    good = np.zeros(len(bad_N), dtype=bool)
    if size <= len(bad_N):
        good[: len(bad_N) - size + 1] = sums[size:] == sums[:-size]
    return good
