"""What it means that inputs are there twice: across splits, with two labels, in one split.

Dimension key, for the whole file:
    N  inputs of all splits
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.data.collection import Rows, Split
from luthier.data.finding import FILES, Finding, counted


@dataclass(frozen=True, kw_only=True)
class Copied:
    """The inputs of all splits, one split after the other."""

    splits: Sequence[Split]
    side: Rows
    """`(N,)`, the place of each one's split in `splits`."""
    labels: Rows
    """`(N,)` numbers that differ where what is said of two inputs does."""
    name: Callable[[int], str]
    """What a person calls an input."""
    one: str
    """What inputs are called: `picture`."""
    said: str = "labels"
    """What is said of them."""

    def findings(self, pairs: Rows, what: str) -> Iterator[Finding]:
        """What to make of the copies.

        Args:
            pairs: `(pairs, 2)` inputs.
            what: How alike they are: `equal`.
        """
        yield from self._leaks(pairs, what)
        crossed = pairs[self.labels[pairs[:, 0]] != self.labels[pairs[:, 1]]]
        if len(crossed):
            yield Finding(
                severity="warning",
                message=f"{counted(len(crossed), 'pair')} of {what} {self.one}s with two "
                f"{self.said}",
                files=self._names(crossed),
            )
        inside = pairs[self.side[pairs[:, 0]] == self.side[pairs[:, 1]]]
        if len(inside):
            yield Finding(
                severity="note",
                message=f"{counted(len(inside), 'pair')} of {what} {self.one}s in one split",
                files=self._names(inside),
            )

    def _leaks(self, pairs: Rows, what: str) -> Iterator[Finding]:
        """Inputs that stand in two splits: what is measured there was learned by heart."""
        sides = np.sort(self.side[pairs], axis=1)
        for a in range(len(self.splits)):
            for b in range(a + 1, len(self.splits)):
                across = pairs[(sides[:, 0] == a) & (sides[:, 1] == b)]
                if not len(across):
                    continue
                leaked = len(np.unique(across[self.side[across] == b]))
                yield Finding(
                    severity="warning",
                    message=f"{counted(leaked, f'{self.splits[b]} {self.one}')} {what} to one in "
                    f"{self.splits[a]}; what is learned by heart there will score well on "
                    f"{self.splits[b]}",
                    files=self._names(across),
                )

    def _names(self, pairs: Rows) -> tuple[str, ...]:
        return tuple(f"{self.name(int(a))} = {self.name(int(b))}" for a, b in pairs[:FILES])


def equal_pairs(groups: Rows) -> Rows:
    """`(pairs, 2)`: each input of a group with the group's first.

    Args:
        groups: `(N,)` numbers from 0; equal inputs have the same.

    Example:
        >>> equal_pairs(np.array([0, 1, 0, 0])).tolist()
        [[0, 2], [0, 3]]
    """
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(groups.max() + 1))
    firsts = order[starts][groups]
    later = np.flatnonzero(firsts != np.arange(len(groups)))
    return np.stack([firsts[later], later], axis=1)
