"""Two runs, compared on the same examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from luthier.errors import InputError
from luthier.metrics.interval import Metric
from luthier.metrics.paired import AccuracyTest, accuracy_test, mean_difference
from luthier.tasks.task import Columns


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The second run against the first; positive differences are the second's."""

    accuracy: AccuracyTest | None
    """None where the task has no right and wrong."""
    loss: Metric
    """Mean loss of the second minus that of the first: below zero, the second is better."""


def compare(first: Columns, second: Columns) -> Comparison:
    """Compare what two runs said of the same examples.

    Args:
        first: The columns of one run's evaluation.
        second: Those of the other; its rows may be in another order.

    Raises:
        InputError: If they were not measured on the same examples.
    """
    before, after = _in_order(first), _in_order(second)
    _must_match(before, after)
    accuracy = None
    if "predicted" in before and "predicted" in after:
        accuracy = accuracy_test(
            before["label"] == before["predicted"], after["label"] == after["predicted"]
        )
    return Comparison(accuracy=accuracy, loss=mean_difference(before["loss"], after["loss"]))


def _in_order(columns: Columns) -> Columns:
    order = np.argsort(columns["id"], kind="stable")
    return {name: values[order] for name, values in columns.items()}


def _must_match(first: Columns, second: Columns) -> None:
    sizes = len(first["id"]), len(second["id"])
    if sizes[0] != sizes[1]:
        raise InputError(
            f"got runs measured on {sizes[0]} and on {sizes[1]} examples; wanted the same "
            "examples, for a paired test: evaluate both on one data set and split"
        )
    for name in ("id", "name", "label"):
        if name not in first or name not in second:
            continue
        different = np.flatnonzero(first[name] != second[name])
        if len(different):
            row = different[0]
            raise InputError(
                f"got runs measured on different examples: {len(different)} of {sizes[0]} differ, "
                f'the first in its {name}, "{first[name][row]}" and "{second[name][row]}"; wanted '
                "the same examples: evaluate both on one data set and split"
            )
