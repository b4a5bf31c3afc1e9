"""Comparing runs: the same examples, in whatever order, or a clear refusal."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.errors import InputError
from luthier.evaluation.compare import compare
from luthier.tasks.task import Columns


def columns(wrong: tuple[int, ...], n: int = 60) -> dict[str, np.ndarray]:
    label = np.arange(n) % 3
    predicted = label.copy()
    predicted[list(wrong)] = (label[list(wrong)] + 1) % 3
    return {
        "id": np.arange(n),
        "name": np.array([f"test[{row}]" for row in range(n)]),
        "label": label,
        "predicted": predicted,
        "loss": np.where(label == predicted, 0.1, 2.0),
    }


def shuffled(data: Columns) -> Columns:
    order = np.random.default_rng(0).permutation(len(data["id"]))
    return {name: values[order] for name, values in data.items()}


def test_the_second_against_the_first() -> None:
    found = compare(columns(tuple(range(12))), columns((0, 1, 50)))
    assert found.accuracy
    assert (found.accuracy.only_first, found.accuracy.only_second) == (1, 10)
    assert found.accuracy.difference.value == pytest.approx(9 / 60)
    assert found.accuracy.p_value == pytest.approx(0.01171875)
    assert found.loss.value == pytest.approx(-9 * 1.9 / 60)
    assert found.loss.high < 0


def test_the_order_of_the_rows_does_not_matter() -> None:
    first, second = columns((1, 2, 3)), columns((3, 4))
    assert compare(first, shuffled(second)) == compare(first, second)


def test_a_task_without_right_and_wrong() -> None:
    data = {name: columns((1,))[name] for name in ("id", "loss")}
    found = compare(data, data)
    assert found.accuracy is None
    assert found.loss.value == 0.0


def test_other_sizes() -> None:
    with pytest.raises(InputError, match="measured on 60 and on 50 examples; wanted the same"):
        compare(columns((1,)), columns((1,), n=50))


@pytest.mark.parametrize(("name", "value"), [("id", 99), ("name", "other.png"), ("label", 2)])
def test_other_examples(name: str, value: object) -> None:
    other = columns((1,))
    other[name][-3] = value
    with pytest.raises(InputError, match=r"different examples: .* of 60 differ"):
        compare(columns((1,)), other)
