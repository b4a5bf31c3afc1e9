"""Batches for each step, ready when the step is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from luthier.data.examples import Examples
from luthier.data.order import cuts, epoch_order
from luthier.data.prefetch import ordered

AnyBatch = TypeVar("AnyBatch")

STEPS_AHEAD = 2
"""Steps that each worker may be ahead: one being read, one ready."""


@dataclass(frozen=True, kw_only=True)
class StepBatches(Generic[AnyBatch]):
    """What one optimizer step learns from."""

    step: int
    """From 0, over the whole run."""
    epoch: int
    """From 0."""
    micro: tuple[AnyBatch, ...]
    """The parts of the batch that go through the network one after the other."""


class Loader(Generic[AnyBatch]):
    """Reads a split, step by step.

    Which rows a step reads is a pure function of (seed, epoch, step): so reading may begin at
    any step, and the number of workers changes nothing but the time.

    Args:
        examples: The split.
        collate: Makes a batch of samples; runs in the worker.
        batch_rows: Rows of the whole batch of a step.
        accumulate: Parts that the batch is cut in. The last parts may be missing where the
            batch is short, and a lone last row joins the part before it.
        seed: Of the order.
        shuffle: Whether each epoch has an order of its own; else the rows come as they lie.
        workers: Threads that read ahead; 0 reads when asked. For data in memory 0 is best.

    Raises:
        ValueError: If `batch_rows` is no multiple of `accumulate`, or there are no rows.
    """

    def __init__(
        self,
        examples: Examples[Any],
        collate: Callable[[Any], AnyBatch],
        *,
        batch_rows: int,
        accumulate: int = 1,
        seed: int,
        shuffle: bool,
        workers: int,
    ) -> None:
        if accumulate < 1 or batch_rows < 1 or batch_rows % accumulate:
            raise ValueError(f"batch_rows ({batch_rows}) is no multiple of {accumulate} parts")
        if len(examples) == 0:
            raise ValueError("there are no rows to read")
        self.examples = examples
        self.collate = collate
        self.seed = seed
        self.shuffle = shuffle
        self.workers = workers
        self.micro_rows = batch_rows // accumulate
        self._cuts = cuts(len(examples), batch_rows)
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
        start, stop = self._cuts[position]
        ids = self._order(epoch)[start:stop]
        parts = (ids[begin:end] for begin, end in cuts(len(ids), self.micro_rows))
        micro = tuple(self.collate(self.examples.read(part, epoch)) for part in parts)
        return StepBatches(step=step, epoch=epoch, micro=micro)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        return epoch_order(len(self.examples), seed=self.seed, epoch=epoch, shuffle=self.shuffle)
