"""Which of a foreign network's tensors is which of ours, and how one becomes the other.

A list of matches serves both directions, so that what is written is what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Way(Protocol):
    """How one tensor of theirs becomes one or several of ours, and back."""

    def to_ours(self, theirs: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
        """Our tensors.

        Args:
            theirs: The one of theirs.
            shapes: Those of ours, in the order of the match.
        """

    def to_theirs(self, ours: Sequence[Tensor]) -> Tensor:
        """Theirs; the inverse. On the meta device it tells the shape that theirs must have."""


@dataclass(frozen=True)
class Same:
    """One is the other."""

    def to_ours(self, theirs: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
        """As it is."""
        return (theirs,)

    def to_theirs(self, ours: Sequence[Tensor]) -> Tensor:
        """As it is."""
        return ours[0]


@dataclass(frozen=True)
class Fused:
    """Theirs holds ours below one another: queries, keys and values, or gate and up."""

    def to_ours(self, theirs: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
        """Its parts, each with as many rows as ours has."""
        return torch.split(theirs, [shape[0] for shape in shapes])

    def to_theirs(self, ours: Sequence[Tensor]) -> Tensor:
        """Ours below one another."""
        return torch.cat(list(ours))


@dataclass(frozen=True)
class Transposed:
    """Theirs is `(in, out)`, as GPT-2 keeps it; ours, one or several, are `(out, in)`. A bias is
    `(out,)` on both sides."""

    def to_ours(self, theirs: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
        """Its parts, on their sides."""
        return torch.split(theirs.movedim(-1, 0), [shape[0] for shape in shapes])

    def to_theirs(self, ours: Sequence[Tensor]) -> Tensor:
        """Ours below one another, on the side."""
        return torch.cat(list(ours)).movedim(0, -1)


@dataclass(frozen=True)
class Added:
    """Theirs is used as `number + w`, as the norms of Gemma; ours as it is."""

    number: float = 1.0

    def to_ours(self, theirs: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
        """What is multiplied by."""
        return (theirs + self.number,)

    def to_theirs(self, ours: Sequence[Tensor]) -> Tensor:
        """What the number is added to."""
        return ours[0] - self.number


@dataclass(frozen=True)
class RowsBehind:
    """Theirs has rows before ours that no text reaches: RoBERTa's first two positions."""

    rows: int

    def to_ours(self, theirs: Tensor, shapes: Sequence[torch.Size]) -> Sequence[Tensor]:
        """The rows that count."""
        return (theirs[self.rows :],)

    def to_theirs(self, ours: Sequence[Tensor]) -> Tensor:
        """With rows of zeros before them."""
        return torch.cat([ours[0].new_zeros(self.rows, *ours[0].shape[1:]), ours[0]])


SAME, FUSED, TRANSPOSED, ONE_ADDED = Same(), Fused(), Transposed(), Added()


@dataclass(frozen=True)
class Match:
    """One tensor of theirs, and what it is with us.

    Attributes:
        theirs: Its name in the file.
        ours: The names of ours in `Network.state_dict()`, in the order that the way wants. Where
            there are none, a file may lack theirs.
        way: From one to the other.
        also: Names under which a file holds it again: written, and read where the first is missing.
    """

    theirs: str
    ours: tuple[str, ...]
    way: Way = SAME
    also: tuple[str, ...] = ()

    @classmethod
    def same(cls, theirs: str, ours: str, parts: Sequence[str] = ("weight",)) -> list[Match]:
        """The same tensors in two modules: `weight`, or `weight` and `bias`."""
        return [cls(f"{theirs}.{part}", (f"{ours}.{part}",)) for part in parts]


BOTH = ("weight", "bias")
"""The tensors of a dense layer or a norm that has both."""


def parts_of(bias: bool) -> tuple[str, ...]:
    """The tensors of a dense layer."""
    return BOTH if bias else BOTH[:1]
