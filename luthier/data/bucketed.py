"""Batches of rows of like lengths: of so many rows, or of so many tokens.

Dimension key, for the whole file:
    N  rows of the split
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from luthier.data.examples import Examples
from luthier.data.loader import STEPS_AHEAD, AnyBatch, StepBatches
from luthier.data.order import cuts
from luthier.data.prefetch import ordered
from luthier.data.randomness import permutation

Cut = tuple[int, int]


@runtime_checkable
class HasLengths(Protocol):
    """A split that knows how long its rows are."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """`(N,)` tokens of each."""


def token_cuts(lengths: NDArray[np.int64], most_tokens: int) -> tuple[Cut, ...]:
    """Rows in their order cut in pieces of at most `most_tokens`, as (start, stop).

    A row that is longer is a piece of its own.

    Example:
        >>> token_cuts(np.array([2, 3, 4, 9]), 6)
        ((0, 2), (2, 3), (3, 4))
    """
    pieces, start, tokens = [], 0, 0
    for row, length in enumerate(lengths.tolist()):
        if row > start and tokens + length > most_tokens:
            pieces.append((start, row))
            start, tokens = row, 0
        tokens += length
    return (*pieces, (start, len(lengths)))


class BucketedLoader(Generic[AnyBatch]):
    """Reads a split, step by step, with rows of like lengths in each.

    In every epoch the rows are put in the order of their lengths, equal ones in another order each
    time, and cut in pieces; then the pieces are read in another order. The lengths in their order
    are the same in each epoch, so the cuts are too: an epoch has always as many steps, and which
    rows a step reads is a pure function of (seed, epoch, step).

    Args:
        examples: The split.
        collate: Makes a batch of samples; runs in the worker.
        lengths: `(N,)` tokens of each row.
        batch: Rows of a step; or with `tokens` the most tokens.
        tokens: Whether batches are measured in tokens.
        accumulate: Parts that the batch of a step is cut in, with as many rows each; fewer parts
            where it has not so many rows.
        seed: Of the order.
        workers: Threads that read ahead; 0 reads when asked.
    """

    def __init__(
        self,
        examples: Examples[Any],
        collate: Callable[[Any], AnyBatch],
        lengths: NDArray[np.int64],
        *,
        batch: int,
        tokens: bool,
        accumulate: int,
        seed: int,
        workers: int,
    ) -> None:
        self.examples = examples
        self.collate = collate
        self.lengths = lengths
        self.accumulate = accumulate
        self.seed = seed
        self.workers = workers
        rising = np.sort(lengths)
        self._cuts = token_cuts(rising, batch) if tokens else cuts(len(lengths), batch)
        # Several threads ask for the same epoch; two are alive where epochs meet.
        self._order = functools.lru_cache(maxsize=2)(self._order_of)

    @property
    def steps_per_epoch(self) -> int:
        """Steps that read each row once."""
        return len(self._cuts)

    def batches(self, start_step: int, stop_step: int) -> Iterator[StepBatches[AnyBatch]]:
        """The batches of the steps from `start_step` to before `stop_step`.

        Close the iterator, or read it to its end, to let its threads go.
        """
        return ordered(
            self._batches_of,
            range(start_step, stop_step),
            workers=self.workers,
            ahead=STEPS_AHEAD * self.workers,
        )

    def _batches_of(self, step: int) -> StepBatches[AnyBatch]:
        epoch, position = divmod(step, self.steps_per_epoch)
        rows, pieces = self._order(epoch)
        start, stop = self._cuts[pieces[position]]
        parts = np.array_split(rows[start:stop], min(self.accumulate, stop - start))
        micro = tuple(self.collate(self.examples.read(part, epoch)) for part in parts)
        return StepBatches(step=step, epoch=epoch, micro=micro)

    def _order_of(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The rows by their lengths, and the pieces as they are read."""
        shuffled = permutation(len(self.lengths), self.seed, epoch, "order")
        rising = np.argsort(self.lengths[shuffled], kind="stable")
        pieces = permutation(len(self._cuts), self.seed, epoch, "pieces")
        return shuffled[rising], pieces
