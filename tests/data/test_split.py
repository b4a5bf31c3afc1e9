from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.split import SplitSpec, balanced_subset, digests, set_apart
from luthier.errors import SpecError
from luthier.spec import parse

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=120)


def groups_of(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, dtype=np.int64).view(np.dtype((np.void, 8)))


@given(labels=LABELS, seed=st.integers(0, 99), data=st.data())
def test_sides_are_a_partition_that_keeps_equal_pictures_together(
    labels: list[int], seed: int, data: st.DataObject
) -> None:
    numbers = data.draw(st.lists(st.integers(0, 60), min_size=len(labels), max_size=len(labels)))
    sides = set_apart(np.array(labels), groups_of(numbers), [0.1, 0.2], seed)
    assert sorted(row for side in sides for row in side.tolist()) == list(range(len(labels)))
    owner = {}
    for number, side in enumerate(sides):
        for row in side.tolist():
            assert owner.setdefault(numbers[row], number) == number
    kept = set(np.array(labels)[sides[-1]].tolist())
    heads = {numbers[row]: labels[row] for row in reversed(range(len(labels)))}
    assert set(heads.values()) <= kept | {labels[row] for row in sides[-1].tolist()}


def test_a_split_that_forgets_the_copies_is_caught() -> None:
    numbers = [0, 1, 2, 3] * 10  # each picture ten times
    rng = np.random.default_rng(0)
    careless = rng.permutation(40)[:8]
    leaked = {numbers[row] for row in careless} & {
        numbers[row] for row in set(range(40)) - set(careless)
    }
    assert leaked
    test, rest = set_apart(np.zeros(40, dtype=np.int64), groups_of(numbers), [0.2], seed=0)
    assert not {numbers[row] for row in test} & {numbers[row] for row in rest}


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    share=st.floats(0.05, 0.4),
    seed=st.integers(0, 9),
)
def test_each_class_gives_its_share(counts: list[int], share: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    test, rest = set_apart(labels, groups_of(list(range(len(labels)))), [share], seed)
    for label, count in enumerate(counts):
        got = int((labels[test] == label).sum())
        wanted = int(share * count + 0.5)
        assert got == (max(wanted, 1) if count >= 3 else min(wanted, count - 1))
        assert (labels[rest] == label).any()


def test_the_seed_chooses_the_rows() -> None:
    labels, groups = np.zeros(100, dtype=np.int64), groups_of(list(range(100)))
    first, second = (set_apart(labels, groups, [0.2], seed)[0] for seed in (0, 1))
    assert first.tolist() == set_apart(labels, groups, [0.2], 0)[0].tolist()
    assert first.tolist() != second.tolist()


def test_digests_are_equal_for_equal_pictures_only() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 1), dtype=np.uint8)
    images[2] = images[0]
    found = digests(images).tolist()
    assert found[2] == found[0]
    assert len(set(found)) == 3


@given(labels=LABELS, limit=st.integers(1, 60))
def test_a_subset_is_even(labels: list[int], limit: int) -> None:
    rows = balanced_subset(np.array(labels), limit, seed=0)
    assert len(rows) == min(limit, len(labels))
    assert (np.diff(rows) > 0).all()
    taken = np.bincount(np.array(labels)[rows], minlength=5)
    there = np.bincount(labels, minlength=5)
    open_ = taken[there > taken]
    if len(open_):  # no class has two more than one that had more to give
        assert taken.max() <= open_.min() + 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"validation": 0.6, "test": 0.4}, r"validation \(0.6\) and test \(0.4\) leave nothing"),
        ({"test": 1.0}, "test: got 1.0, wanted below 1"),
    ],
)
def test_wrong_settings(data: dict[str, float], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(SplitSpec, data)
