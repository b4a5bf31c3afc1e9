"""Whether there is enough of each class, in each split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from luthier.data.collection import Rows, Split
from luthier.data.finding import Finding, counted, some_of
from luthier.data.target import Labels

IMBALANCE = 10
"""The largest class over the smallest, from where it is worth a warning."""
FEW = 20
"""Training inputs of a class, below which it is worth a warning."""


def balance_findings(target: Labels, held: Mapping[Split, Rows], many: str) -> Iterator[Finding]:
    """Classes that are rare, or missing where is measured.

    Args:
        target: The classes, with the training inputs of each.
        held: The class numbers of the other splits.
        many: What the inputs are called: `pictures`.
    """
    counts = np.array(target.counts)
    few = [
        f"{target.names[number]} ({counts[number]})"
        for number in np.argsort(counts, kind="stable")
        if 0 < counts[number] < FEW
    ]
    if few:
        yield Finding(
            severity="warning",
            message=f"{counted(len(few), 'class', 'classes')} with fewer than {FEW} training "
            f"{many}: {some_of(few)}",
        )
    there = np.flatnonzero(counts)
    most, least = int(counts.argmax()), int(there[counts[there].argmin()])
    if counts[most] >= IMBALANCE * counts[least]:
        yield Finding(
            severity="warning",
            message=f'"{target.names[most]}" has {counts[most]:,} training {many} and '
            f'"{target.names[least]}" has {counts[least]:,}; accuracy will say little: look at the '
            "scores of each class, and try task.class_weights=balanced",
        )
    for split, labels in held.items():
        here = np.bincount(labels, minlength=len(counts))
        missing = [target.names[n] for n in np.flatnonzero((here == 0) & (counts > 0))]
        if missing:
            yield Finding(
                severity="warning",
                message=f"{split} has no {many} of {counted(len(missing), 'class', 'classes')}: "
                f"{some_of(missing)}",
            )
