"""Splits that are made: stratified, seeded, with equal inputs on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from luthier.data.collection import Rows, Split
from luthier.data.image import Pixels
from luthier.data.randomness import permutation
from luthier.errors import DataError
from luthier.spec import Decision, Spec

DIGEST_BYTES = 16
SMALLEST_SPLIT_CLASS = 3
"""From so many different pictures on, a class is in each split that is made."""


class SplitSpec(Spec):
    """How rows are set apart, where the data does not say it."""

    validation: float = Field(default=0.1, ge=0, lt=1)
    """The share of the rows that chooses the best checkpoint; 0 makes no such split."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """The share of the rows that measures the finished model; 0 makes no such split."""
    seed: int = Field(default=0, ge=0)
    """Chooses other rows. Not the training's seed: so runs of all seeds are tested on the same
    rows."""

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation ({self.validation}) and test ({self.test}) leave nothing to train on"
            )
        return self


def digests(images: Pixels) -> NDArray[np.void]:
    """A hash of each picture's pixels; equal for equal pictures."""
    found = [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=DIGEST_BYTES).digest()
        for image in images
    ]
    return np.frombuffer(b"".join(found), dtype=np.dtype((np.void, DIGEST_BYTES)))


def make_splits(
    spec: SplitSpec,
    sizes: Mapping[Split, int],
    strata: Rows,
    groups: Callable[[], NDArray[np.void]],
    many: str,
) -> tuple[dict[Split, Rows], tuple[Decision, ...]]:
    """The splits that are not given, taken from the training rows.

    Args:
        spec: The shares.
        sizes: Rows of each given split, train among them.
        strata: `(N,)`, of the training rows: a class or the like; each is divided in the shares.
        groups: Gives `(N,)` values that are equal for equal inputs; called if a split is made.
        many: What the inputs are called: `pictures`.

    Returns:
        Row numbers among the training rows, for each split that is made and for train, which is
        what is left; nothing if no split is made. And what was decided.

    Raises:
        DataError: If there are too few rows, or a share is set for a split that is given.
    """
    makes: list[Split] = []
    for name in ("test", "validation"):
        share = getattr(spec, name)
        if name not in sizes and share > 0:
            makes.append(name)
        elif name in sizes and share > 0 and name in spec.model_fields_set:
            raise DataError(
                f"data.split.{name}: got {share}, but the data has {sizes[name]:,} rows for "
                f"{name} already; leave the setting out"
            )
    if not makes:
        return {}, ()
    shares = [getattr(spec, name) for name in makes]
    *made, rest = set_apart(strata, groups(), shares, spec.seed)
    decisions = []
    for name, rows in zip(makes, made, strict=True):
        if not len(rows):
            count = sizes["train"]
            raise DataError(
                f"got {count:,} row{'s' if count != 1 else ''}, too few to set some "
                f"apart for {name}; set data.split.{name}=0, or give more data"
            )
        if name not in spec.model_fields_set:
            decisions.append(
                Decision(
                    place=f"data.split.{name}",
                    value=getattr(spec, name),
                    reason=f"the data has no {name} rows; {len(rows):,} are set apart, "
                    f"class by class, equal {many} on one side",
                )
            )
    return {**dict(zip(makes, made, strict=True)), "train": rest}, tuple(decisions)


def set_apart(
    labels: Rows, groups: NDArray[np.void], shares: Sequence[float], seed: int
) -> list[Rows]:
    """Rows for each share, then the rows that are left.

    Each class gives its share, rounded, and keeps at least one row for what is left. A class of
    at least `SMALLEST_SPLIT_CLASS` different pictures gives at least one row to each share. Rows
    of one group stay together, with the class of the first of them.

    Args:
        labels: `(N,)` class numbers.
        groups: `(N,)`; equal values are the same picture.
        shares: Of the rows, from 0 to below 1.
        seed: Chooses the rows.

    Returns:
        Row numbers, ascending, for each share and for what is left.

    Example:
        >>> labels = np.repeat([0, 1], 10)
        >>> test, rest = set_apart(labels, np.arange(20).view("V8"), [0.1], seed=0)
        >>> len(test), len(rest), labels[test].tolist()
        (2, 18, [0, 1])
    """
    _, first, group_of_row = np.unique(groups, return_index=True, return_inverse=True)
    sizes = np.bincount(group_of_row, minlength=len(first))
    place = np.argsort(permutation(len(labels), seed, 0, "split"))[first]
    side_of_group = np.full(len(first), len(shares))
    for label in np.unique(labels[first]):
        members = np.flatnonzero(labels[first] == label)
        members = members[np.argsort(place[members])]
        rows = int(sizes[members].sum())
        taken = 0
        for side, share in enumerate(shares):
            quota = int(share * rows + 0.5)
            if share > 0 and len(members) >= SMALLEST_SPLIT_CLASS:
                quota = max(quota, 1)
            filled = 0
            while filled < quota and taken < len(members) - 1:
                side_of_group[members[taken]] = side
                filled += int(sizes[members[taken]])
                taken += 1
    side_of_row = side_of_group[group_of_row]
    return [np.flatnonzero(side_of_row == side) for side in range(len(shares) + 1)]


def balanced_subset(labels: Rows, limit: int, seed: int) -> Rows:
    """At most `limit` rows, as evenly from the classes as they allow; ascending.

    Example:
        >>> balanced_subset(np.array([0, 0, 0, 0, 1, 1]), 4, seed=0).shape
        (4,)
    """
    if len(labels) <= limit:
        return np.arange(len(labels))
    shuffled = permutation(len(labels), seed, 0, "limit")
    turn = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        turn[members] = np.arange(len(members))
    rounds = np.argsort(turn[shuffled], kind="stable")
    return np.sort(shuffled[rounds][:limit])
