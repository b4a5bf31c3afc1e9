"""Batches of rows of like lengths: each row once, and a function of the step alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.bucketed import BucketedLoader, token_cuts

LENGTHS = np.random.default_rng(0).integers(1, 30, 101)


class Numbers:
    """Rows that are their numbers."""

    signal: Any = None
    at_once = 8

    def __len__(self) -> int:
        return len(LENGTHS)

    def read(self, ids: np.ndarray, epoch: int) -> list[int]:
        return [int(row) for row in ids]

    def name(self, row: int) -> str:
        return str(row)

    def plain(self) -> Numbers:
        return self


def loader(batch: int = 120, *, tokens: bool = True, accumulate: int = 1, workers: int = 0) -> Any:
    return BucketedLoader(
        Numbers(),
        list,
        LENGTHS,
        batch=batch,
        tokens=tokens,
        accumulate=accumulate,
        seed=3,
        workers=workers,
    )


def steps(made: Any, start: int, stop: int) -> list[list[int]]:
    return [[row for part in one.micro for row in part] for one in made.batches(start, stop)]


def test_each_epoch_reads_each_row_once_in_batches_of_like_lengths() -> None:
    made = loader()
    epochs = [steps(made, n * made.steps_per_epoch, (n + 1) * made.steps_per_epoch) for n in (0, 1)]
    for epoch in epochs:
        assert sorted(row for batch in epoch for row in batch) == list(range(101))
        assert all(sum(LENGTHS[batch]) <= 120 for batch in epoch)
        spans = sorted((LENGTHS[batch].min(), LENGTHS[batch].max()) for batch in epoch)
        assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert epochs[0] != epochs[1]
    assert sorted(map(sorted, epochs[0])) != sorted(map(sorted, epochs[1])), "the same batches"


def test_a_step_is_what_it_is_wherever_reading_begins() -> None:
    whole = steps(loader(), 0, 40)
    assert steps(loader(), 13, 40) == whole[13:]
    assert steps(loader(workers=2), 0, 40) == whole


def test_parts_are_the_batch() -> None:
    whole = steps(loader(), 0, 20)
    made = loader(accumulate=3)
    assert steps(made, 0, 20) == whole
    parts = [len(one.micro) for one in made.batches(0, 20)]
    assert parts == [min(3, len(rows)) for rows in whole]


def test_batches_of_rows() -> None:
    made = loader(10, tokens=False)
    assert {len(batch) for batch in steps(made, 0, made.steps_per_epoch)} <= {9, 10, 11}


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 80))
def test_cuts_hold_all_rows_and_no_more_tokens(lengths: list[int], most: int) -> None:
    cut = token_cuts(np.array(lengths), most)
    assert [row for start, stop in cut for row in range(start, stop)] == list(range(len(lengths)))
    assert all(sum(lengths[a:b]) <= most or b - a == 1 for a, b in cut)
