"""Rows of several parts: drawn by weight to train on, one part after the other to measure on.

Dimension key, for the whole file:
    B  rows of a batch      S  tokens of a row      P  parts
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from luthier.data.randomness import permutation
from luthier.data.text.rows.bin_packing import Numbers
from luthier.data.text.rows.rows import RowExamples
from luthier.data.text.rows.samples import PADDING, RowSamples
from luthier.signal import Signal


class JoinedRows:
    """Rows of parts, one part after the other, with nothing random.

    Args:
        parts: At least one.
        split: What it is called.
    """

    def __init__(self, parts: Sequence[RowExamples], split: str) -> None:
        self.parts = tuple(parts)
        self._split = split
        self._lasts = np.cumsum([len(part) for part in parts])

    @property
    def signal(self) -> Signal:
        """The longest input."""
        return self.parts[0].signal

    @property
    def at_once(self) -> int:
        """Rows that go through a network together."""
        return self.parts[0].at_once

    def __len__(self) -> int:
        return int(self._lasts[-1])

    def part_of(self, ids: Numbers) -> Numbers:
        """`(B,)`, the number of each row's part."""
        return np.searchsorted(self._lasts, ids, side="right")

    def name(self, row: int) -> str:
        """`validation[12]`."""
        return f"{self._split}[{row}]"

    def plain(self) -> Self:
        """The same, with nothing random about the parts."""
        return type(self)([part.plain() for part in self.parts], self._split)

    def read(self, ids: NDArray[np.int64], epoch: int) -> RowSamples:
        """The rows `ids`, as each part gives them."""
        number = self.part_of(ids)
        groups = []
        for p, part in enumerate(self.parts):
            places = np.flatnonzero(number == p)
            rows = ids[places] - (self._lasts[p] - len(part))
            groups.append(_Group(part, rows, epoch, places))
        return _together(groups, ids, 0, 0)


class MixedRows:
    """Rows of parts in the shares of their weights.

    An epoch has as many rows as the parts have together. Each part gives its share of them, and
    goes through its own rows in a random order, again and again: none comes a second time before
    all have come once.

    Args:
        parts: At least one.
        weights: `(P,)` positive.
        split: What it is called.
        seed: Of the order.
    """

    def __init__(
        self, parts: Sequence[RowExamples], weights: Sequence[float], split: str, *, seed: int
    ) -> None:
        self.parts = tuple(parts)
        self.weights = tuple(weights)
        self._split = split
        self._seed = seed
        self.draws = shares(sum(len(part) for part in parts), weights)
        self._part_of_row = _interleaved(self.draws)
        self._rank = np.empty(len(self._part_of_row), dtype=np.int64)
        for part, draws in enumerate(self.draws.tolist()):
            self._rank[self._part_of_row == part] = np.arange(draws)
        # Two passes of a part can meet in one epoch, and two epochs in the threads that read.
        self._order = functools.lru_cache(maxsize=4 * len(parts))(self._order_of)

    @property
    def signal(self) -> Signal:
        """The longest input."""
        return self.parts[0].signal

    @property
    def at_once(self) -> int:
        """Rows that go through a network together."""
        return self.parts[0].at_once

    def __len__(self) -> int:
        return len(self._part_of_row)

    def name(self, row: int) -> str:
        """`train[12]`."""
        return f"{self._split}[{row}]"

    def plain(self) -> JoinedRows:
        """All rows of all parts, each once."""
        return JoinedRows([part.plain() for part in self.parts], self._split)

    def read(self, ids: NDArray[np.int64], epoch: int) -> RowSamples:
        """The rows `ids`: a function of (seed, epoch, id) alone."""
        groups = []
        for p, part in enumerate(self.parts):
            places = np.flatnonzero(self._part_of_row[ids] == p)
            drawn = epoch * int(self.draws[p]) + self._rank[ids[places]]
            passes, position = np.divmod(drawn, max(len(part), 1))
            for number in np.unique(passes).tolist():
                chosen = passes == number
                rows = self._order(p, number)[position[chosen]]
                groups.append(_Group(part, rows, number, places[chosen]))
        return _together(groups, ids, self._seed, epoch)

    def _order_of(self, part: int, number: int) -> Numbers:
        return permutation(len(self.parts[part]), self._seed, number, f"mixture {part}")


def shares(total: int, weights: Sequence[float]) -> Numbers:
    """`(P,)`, whole numbers in the ratio of the weights, as nearly as can be, that sum to `total`.

    Example:
        >>> shares(10, [1, 1, 1])
        array([4, 3, 3])
    """
    exact = np.array(weights) / sum(weights) * total
    whole = np.floor(exact).astype(np.int64)
    missing = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:missing]] += 1
    return whole


def _interleaved(draws: Numbers) -> NDArray[np.int16]:
    """The part of each row, so that any stretch of rows has about the shares of the whole."""
    place = np.concatenate([(np.arange(count) + 0.5) / max(count, 1) for count in draws.tolist()])
    part = np.repeat(np.arange(len(draws), dtype=np.int16), draws)
    return part[np.argsort(place, kind="stable")]


class _Group(NamedTuple):
    """Rows of one part, of one of its epochs."""

    part: RowExamples
    rows: Numbers
    epoch: int
    places: Numbers
    """Of the rows in the batch."""


def _together(groups: Sequence[_Group], ids: Numbers, seed: int, epoch: int) -> RowSamples:
    """One batch, as wide as the widest group."""
    filled = [group for group in groups if len(group.rows)]
    read = [group.part.read(group.rows, group.epoch) for group in filled]
    widths = [samples.tokens_BS.shape[1] for samples in read]
    shape = (len(ids), max(widths))
    tokens_BS, bytes_BS = (torch.zeros(shape, dtype=torch.int64) for _ in range(2))
    documents_BS = torch.full(shape, PADDING, dtype=torch.int64)
    words_BS = None if read[0].words_BS is None else torch.zeros(shape, dtype=torch.int64)
    for group, samples, width in zip(filled, read, widths, strict=True):
        at = torch.from_numpy(group.places)
        tokens_BS[at, :width] = samples.tokens_BS
        bytes_BS[at, :width] = samples.bytes_BS
        documents_BS[at, :width] = 0 if samples.documents_BS is None else samples.documents_BS
        if words_BS is not None and samples.words_BS is not None:
            words_BS[at, :width] = samples.words_BS
    single = len(set(widths)) == 1 and all(samples.documents_BS is None for samples in read)
    return RowSamples(
        tokens_BS=tokens_BS,
        documents_BS=None if single else documents_BS,
        bytes_BS=bytes_BS,
        words_BS=words_BS,
        ids=torch.from_numpy(np.array(ids, dtype=np.int64)),
        seed=seed,
        epoch=epoch,
    )
