"""The names and numbers of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from luthier.data.collection import Rows
from luthier.data.faults import Faults
from luthier.errors import nearest
from luthier.spec import Auto


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Different names in the order of their class numbers: whole numbers by value, else by text.

    Example:
        >>> sorted_names(["10", "9", "10"]), sorted_names(["b", "a", "10"])
        (('9', '10'), ('10', 'a', 'b'))
    """
    different = set(names)
    if all(name.isascii() and name.isdigit() for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))


def class_names(wanted: tuple[str, ...] | Auto, *labels: Rows) -> tuple[str, ...]:
    """Names for labels that are numbers: those wanted, else `0`, `1`, … up to the largest."""
    if wanted != "auto":
        return wanted
    return tuple(str(number) for number in range(1 + max(int(part.max()) for part in labels)))


def inside(
    labels: Rows, classes: Sequence[str], name: Callable[[int], str], faults: Faults
) -> Rows:
    """The rows whose number is one of a class; the others become faults."""
    wrong = (labels < 0) | (labels >= len(classes))
    for row in np.flatnonzero(wrong):
        faults.add(
            name(int(row)),
            f"has the label {labels[row]}; wanted 0 to {len(classes) - 1} (data.classes)",
        )
    return np.flatnonzero(~wrong)


def unknown_class(name: str, classes: Sequence[str]) -> str:
    """What is wrong with a label that is outside the list of classes."""
    return f'has the label "{name}", which is not in data.classes{nearest(name, classes)}'


def check_names(names: tuple[str, ...] | Auto, setting: str = "classes") -> None:
    """A rule of specs that take names in the order of their numbers.

    Raises:
        ValueError: If there are none, or two are the same.
    """
    if names != "auto" and (not names or len(set(names)) < len(names)):
        repeated = sorted({name for name in names if names.count(name) > 1})
        got = f'"{repeated[0]}" more than once' if repeated else "none"
        raise ValueError(f"{setting}: got {got}; wanted different names")
