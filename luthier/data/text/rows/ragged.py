"""Rows of different lengths, one behind the other in one array.

Dimension key, for the whole file:
    N  rows      M  values of all rows
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from luthier.data.collection import Rows


@dataclass(frozen=True)
class Ragged:
    """Rows of whole numbers."""

    values: NDArray[np.int32]
    """`(M,)`."""
    offsets: Rows
    """`(N + 1,)`, where each row begins, and the end."""

    @classmethod
    def of(cls, rows: Iterable[Sequence[int] | NDArray[np.int32]]) -> Self:
        """Rows, put together.

        Example:
            >>> Ragged.of([[5, 6], [], [7]]).offsets.tolist()
            [0, 2, 2, 3]
        """
        arrays = [np.asarray(row, dtype=np.int32) for row in rows]
        lengths = np.array([len(array) for array in arrays], dtype=np.int64)
        values = np.concatenate([np.empty(0, dtype=np.int32), *arrays])
        return cls(values, offsets_of(lengths))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Rows:
        """`(N,)`."""
        return np.diff(self.offsets)

    def kept(self, lengths: Rows, *, ends: bool) -> Self:
        """So many values of each row: the last ones, or the first.

        Args:
            lengths: `(N,)`, at most those of the rows.
            ends: Whether the last ones are kept.
        """
        starts = self.offsets[1:] - lengths if ends else self.offsets[:-1]
        return type(self)(self.values[places(starts, lengths)], offsets_of(lengths))


def offsets_of(lengths: Rows) -> Rows:
    """`(N + 1,)`, where rows of these lengths begin."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])


def places(starts: Rows, lengths: Rows) -> Rows:
    """`(M,)`: start, start + 1, … of each row.

    Example:
        >>> places(np.array([10, 3]), np.array([2, 1])).tolist()
        [10, 11, 3]
    """
    ends = np.cumsum(lengths)
    first = np.repeat(starts - (ends - lengths), lengths)
    return first + np.arange(ends[-1] if len(ends) else 0)
