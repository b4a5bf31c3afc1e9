"""What a reader of pairs found: rows with a source and what is written of it, by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from luthier.data.collection import Split
from luthier.spec import Decision


class PairRow(NamedTuple):
    """A source, and what is right to write of it."""

    name: str
    """Where it stands: `train.en line 3`."""
    source: str
    target: str
    """What is learned."""
    others: tuple[str, ...] = ()
    """What is as right; only compared with."""

    @property
    def references(self) -> tuple[str, ...]:
        """All that is right."""
        return (self.target, *self.others)


@dataclass(frozen=True, kw_only=True)
class FoundPairs:
    """What a reader found at a place."""

    recognised: str
    """What it is: `files train.en and train.de in /data`."""
    parts: Mapping[Split, Sequence[PairRow]]
    """The splits that are given. Where there is only one, it is called train."""
    empty: Sequence[str]
    """Where a row stands of which a side is empty: it is left out."""
    decisions: tuple[Decision, ...] = ()
    """What was left to the reader."""
