"""Documents put apart, those of about the same length together.

Dimension key, for the whole file:
    S  positions of all rows      M  places of all groups      n  documents of a group
    L  the longest of a group
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.model.reorder import reordered

CALL_CELLS = 16_000
"""What one more group costs, in pairs of positions that attention could have looked at instead.

Measured on one core in bfloat16, widths 128 to 384, forward and backward, texts of 20 and of 60
positions: between 6,000 and 32,000 whole steps lie within a twentieth of each other, at 2,000 they
take 3 to 7 % longer. More cores make the pairs cheaper, and not the group."""


@dataclass(frozen=True, eq=False)
class Group:
    """Documents that are padded at the right to the length of the longest of them.

    Attributes:
        documents: Their numbers.
        longest: L.
        absent_NL: True in the padding; none where there is no padding. bool.
    """

    documents: tuple[int, ...]
    longest: int
    absent_NL: Tensor | None

    @property
    def places(self) -> int:
        """`n * L`."""
        return len(self.documents) * self.longest


class Groups:
    """All documents of some rows, in groups of about the same length.

    One group for all would waste its padding, whose cost is quadratic in attention; a group for
    each document would be many small products.

    Args:
        starts: Where each document begins in the rows laid end to end.
        lengths: Positions of each document, at least 1.
        total: S.
        device: Where the tensors are wanted.
    """

    def __init__(
        self, starts: Sequence[int], lengths: Sequence[int], total: int, device: torch.device
    ) -> None:
        forth: list[Tensor] = []
        groups: list[Group] = []
        back_S = torch.zeros(total, dtype=torch.int64)
        kept_S = torch.zeros(total, dtype=torch.bool)
        offset = 0
        for numbers in _alike(lengths):
            longest = lengths[numbers[0]]
            own = torch.tensor([lengths[number] for number in numbers])
            begins = torch.tensor([starts[number] for number in numbers])
            present_NL = torch.arange(longest)[None] < own[:, None]
            places_NL = begins[:, None] + torch.arange(longest)[None]
            slots_NL = torch.arange(offset, offset + present_NL.numel()).view_as(present_NL)
            back_S[places_NL[present_NL]] = slots_NL[present_NL]
            kept_S[places_NL[present_NL]] = True
            forth.append(places_NL.clamp(max=total - 1).flatten())
            absent_NL = None if bool(present_NL.all()) else ~present_NL.to(device)
            groups.append(Group(tuple(numbers), longest, absent_NL))
            offset += present_NL.numel()
        self.groups = tuple(groups)
        self._forth_M = torch.cat(forth).to(device)
        self._back_S = back_S.to(device)
        self._kept_S = None if bool(kept_S.all()) else kept_S.to(device)
        present = [_present(group, device) for group in groups]
        self._kept_M = None if offset == int(kept_S.sum()) else torch.cat(present)

    def apart(self, x_S: Tensor) -> Iterator[Tensor]:
        """For each group `(n, L, …)`, of `(S, …)`.

        In the padding of a group lies what happens to lie behind the document. Nothing may read
        it that reaches a loss: no gradient comes back from there.
        """
        x_M = reordered(x_S, self._forth_M, self._back_S, None, self._kept_S)
        parts = torch.split(x_M, [group.places for group in self.groups])
        for group, part in zip(self.groups, parts, strict=True):
            yield part.view(len(group.documents), group.longest, *x_S.shape[1:])

    def together(self, parts: Sequence[Tensor]) -> Tensor:
        """The inverse: `(S, …)`, with zeros where there is no document."""
        x_M = torch.cat([part.flatten(0, 1) for part in parts])
        return reordered(x_M, self._back_S, self._forth_M, self._kept_S, self._kept_M)


def _present(group: Group, device: torch.device) -> Tensor:
    if group.absent_NL is None:
        return torch.ones(group.places, dtype=torch.bool, device=device)
    return ~group.absent_NL.flatten()


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    """The numbers of the documents in groups, the longest of each first."""
    groups: list[list[int]] = []
    wasted = 0
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        if groups:
            wasted += lengths[groups[-1][0]] ** 2 - lengths[number] ** 2
        if not groups or wasted > CALL_CELLS:
            groups.append([])
            wasted = 0
        groups[-1].append(number)
    return groups
