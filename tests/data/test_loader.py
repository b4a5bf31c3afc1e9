from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.augment import (
    AffineSpec,
    ColourSpec,
    CropSpec,
    CutmixSpec,
    EraseSpec,
    FlipSpec,
    MixupSpec,
    ShiftSpec,
)
from luthier.data.examples import Examples, Samples
from luthier.data.loader import Loader
from luthier.data.prepare_pictures import prepare_pictures
from luthier.data.readers.digits import DigitsSpec
from luthier.signal import Signal

EVERYTHING = (
    FlipSpec(),
    FlipSpec(direction="vertical", probability=0.3),
    ShiftSpec(fraction=0.2, fill=9),
    CropSpec(padding=2, mode="reflect"),
    AffineSpec(rotate=20, scale=(0.8, 1.2), shear=10, fill=3),
    ColourSpec(brightness=0.3, contrast=0.3, saturation=0.3),
    EraseSpec(),
    MixupSpec(probability=0.6),
    CutmixSpec(),
)
SPEC = DigitsSpec(limit=60, augment=EVERYTHING)
EXAMPLES = prepare_pictures(SPEC, seed=5).train


class Stateful:
    """The broken twin: its noise comes from a generator with a state."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._lock = threading.Lock()

    @property
    def signal(self) -> Signal:
        return EXAMPLES.signal

    def __len__(self) -> int:
        return len(EXAMPLES)

    def read(self, ids: np.ndarray, epoch: int) -> Samples:
        samples = EXAMPLES.read(ids, epoch)
        with self._lock:
            noise = torch.from_numpy(self._random.random(samples.inputs.shape))
        inputs = samples.inputs + noise.to(torch.float32)
        return Samples(inputs=inputs, targets=samples.targets, ids=samples.ids)

    def name(self, row: int) -> str:
        return EXAMPLES.name(row)


def loader(examples: Examples, workers: int = 0, accumulate: int = 1) -> Loader[Samples]:
    return Loader(
        examples,
        lambda samples: samples,
        batch_rows=8,
        accumulate=accumulate,
        seed=3,
        shuffle=True,
        workers=workers,
    )


def same(left: Samples, right: Samples) -> bool:
    return (
        torch.equal(left.inputs, right.inputs)
        and torch.equal(left.targets, right.targets)
        and torch.equal(left.ids, right.ids)
    )


def reads_do_not_depend_on_the_batch(examples: Examples, ids: list[int], epoch: int) -> bool:
    rows = np.array(ids, dtype=np.int64)
    together = examples.read(rows, epoch)
    for position in range(len(ids)):
        alone = examples.read(rows[position : position + 1], epoch)
        if not torch.equal(alone.inputs[0], together.inputs[position]):
            return False
        if not torch.equal(alone.targets[0], together.targets[position]):
            return False
    return True


def runs_are_equal(examples: Examples) -> bool:
    """Whether each step is the same for any number of workers, and from any first step."""
    whole = list(loader(examples).batches(0, 16))
    for workers in (0, 1, 3):
        for start in (0, 5, 11):
            for ours, step in zip(
                loader(examples, workers).batches(start, 16), whole[start:], strict=True
            ):
                if (ours.step, ours.epoch) != (step.step, step.epoch):
                    return False
                if not all(map(same, ours.micro, step.micro)):
                    return False
    return True


@settings(max_examples=40, deadline=None)
@given(
    ids=st.lists(st.integers(0, len(EXAMPLES) - 1), min_size=1, max_size=9),
    epoch=st.integers(0, 50),
)
def test_a_row_is_the_same_in_any_batch_bit_for_bit(ids: list[int], epoch: int) -> None:
    assert reads_do_not_depend_on_the_batch(EXAMPLES, ids, epoch)


def test_a_row_that_depends_on_its_batch_is_caught() -> None:
    assert not reads_do_not_depend_on_the_batch(Stateful(), [1, 2, 3], 0)


def test_batches_are_the_same_for_any_workers_and_start() -> None:
    assert runs_are_equal(EXAMPLES)


def test_batches_with_a_state_are_caught() -> None:
    assert not runs_are_equal(Stateful())


def test_each_epoch_reads_each_row_once() -> None:
    one = loader(EXAMPLES)
    for epoch in range(2):
        steps = one.batches(epoch * one.steps_per_epoch, (epoch + 1) * one.steps_per_epoch)
        rows = [row for step in steps for part in step.micro for row in part.ids.tolist()]
        assert sorted(rows) == list(range(len(EXAMPLES)))


def test_micro_batches_are_the_batch_cut_up() -> None:
    whole = next(iter(loader(EXAMPLES).batches(3, 4))).micro
    parts = next(iter(loader(EXAMPLES, accumulate=4).batches(3, 4))).micro
    assert [len(part.ids) for part in parts] == [2, 2, 2, 2]
    assert torch.equal(torch.cat([part.inputs for part in parts]), whole[0].inputs)
    assert torch.equal(torch.cat([part.targets for part in parts]), whole[0].targets)


def test_augmentation_changes_with_the_epoch() -> None:
    ids = np.arange(5)
    assert not torch.equal(EXAMPLES.read(ids, 0).inputs, EXAMPLES.read(ids, 1).inputs)


def test_without_shuffle_rows_come_as_they_lie() -> None:
    plain = Loader(EXAMPLES, lambda s: s, batch_rows=7, seed=0, shuffle=False, workers=0)
    first = next(iter(plain.batches(0, 1)))
    assert first.micro[0].ids.tolist() == list(range(7))


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    def collate(samples: Samples) -> Samples:
        raise ValueError("no such batch")

    broken = Loader(EXAMPLES, collate, batch_rows=8, seed=0, shuffle=True, workers=2)
    with pytest.raises(ValueError, match="no such batch"):
        list(broken.batches(0, 3))


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batch_rows \(8\) is no multiple of 3 parts"):
        loader(EXAMPLES, accumulate=3)
