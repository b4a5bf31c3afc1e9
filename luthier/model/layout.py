"""Where the documents lie in the rows of a batch.

Dimension key, for the whole file:
    B  rows      T  positions of a row      N  documents of the batch
    L  positions of the longest      S  positions of all rows      M  of all documents put apart
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from luthier.model.groups import Groups
from luthier.model.reorder import reordered

CPU = torch.device("cpu")
PADDING = -1
"""The number of the document that a position of padding belongs to."""


@dataclass(frozen=True)
class Span:
    """One document: the positions `start` to before `stop` of a row."""

    row: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        """Positions."""
        return self.stop - self.start


@dataclass(frozen=True)
class Layout:
    """Which positions of which row are which document; what is none of them is padding.

    Documents packed into one row, one document a row padded at either side: all are spans. A
    block that mixes positions never mixes those of two documents, so that the way in which
    documents are laid out changes nothing but the speed.

    Args:
        spans: In the order of the documents, which is the order of what is said of them.
        rows: B.
        time: T.
        device: Where the tensors are wanted.
    """

    spans: tuple[Span, ...]
    rows: int
    time: int
    device: torch.device = CPU

    @classmethod
    def packed(cls, lengths: Sequence[int]) -> Layout:
        """All documents one after the other, in a single row with no padding."""
        spans, start = [], 0
        for length in lengths:
            spans.append(Span(0, start, start + length))
            start += length
        return cls(tuple(spans), 1, start)

    @classmethod
    def padded(cls, lengths: Sequence[int], side: Literal["left", "right"] = "right") -> Layout:
        """One document a row, as long as the longest; the padding at a side."""
        time = max(lengths)
        spans = (
            Span(row, 0, length) if side == "right" else Span(row, time - length, time)
            for row, length in enumerate(lengths)
        )
        return cls(tuple(spans), len(lengths), time)

    @classmethod
    def rows_of(cls, lengths: Sequence[Sequence[int]], time: int) -> Layout:
        """Several documents in each row, from its start; padding behind them."""
        spans = []
        for row, own in enumerate(lengths):
            start = 0
            for length in own:
                spans.append(Span(row, start, start + length))
                start += length
            assert start <= time, f"row {row} holds {start} positions, more than {time}"
        return cls(tuple(spans), len(lengths), time)

    def to(self, device: torch.device) -> Layout:
        """The same layout, with its tensors on `device`."""
        return self if self.device == device else replace(self, device=device)

    @property
    def documents(self) -> int:
        """N."""
        return len(self.spans)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Positions of each document."""
        return tuple(span.length for span in self.spans)

    @cached_property
    def longest(self) -> int:
        """Positions of the longest document."""
        return max(self.lengths)

    @cached_property
    def by_length(self) -> tuple[int, ...]:
        """The numbers of the documents, the longest first."""
        return tuple(sorted(range(self.documents), key=lambda number: -self.lengths[number]))

    @cached_property
    def longest_first(self) -> Layout:
        """The same places in the rows, with the documents in the order `by_length`."""
        return replace(self, spans=tuple(self.spans[number] for number in self.by_length))

    @cached_property
    def one_a_row(self) -> bool:
        """Whether row n holds document n and nothing else, from its first position on."""
        return len(self.spans) == self.rows and all(
            span.row == row and span.start == 0 for row, span in enumerate(self.spans)
        )

    @cached_property
    def full(self) -> bool:
        """Whether row n is document n, with no padding: as if there were no layout."""
        return self.one_a_row and all(span.length == self.time for span in self.spans)

    @cached_property
    def documents_BT(self) -> Tensor:
        """The number of each position's document, `PADDING` where there is none. int64."""
        numbers = torch.full((self.rows, self.time), PADDING, dtype=torch.int64)
        for number, span in enumerate(self.spans):
            numbers[span.row, span.start : span.stop] = number
        return numbers.to(self.device)

    @cached_property
    def present_S(self) -> Tensor:
        """Where there are documents, in the rows laid end to end. int64."""
        return self._kept_S.nonzero()[:, 0]

    @cached_property
    def positions_BT(self) -> Tensor:
        """The place of each position in its document, from 0; of padding 0. int64."""
        positions = torch.zeros((self.rows, self.time), dtype=torch.int64)
        for span in self.spans:
            positions[span.row, span.start : span.stop] = torch.arange(span.length)
        return positions.to(self.device)

    @cached_property
    def groups(self) -> Groups:
        """The documents in groups of about the same length, for what costs more than linearly."""
        starts = [span.row * self.time + span.start for span in self.spans]
        return Groups(starts, self.lengths, self.rows * self.time, self.device)

    def documents_apart(self, x_BTD: Tensor) -> Tensor:
        """One document a row, padded with zeros at the right: `(N, longest, D)`."""
        if self.full:
            return x_BTD
        if self.one_a_row:
            return x_BTD[:, : self.longest] * self.present_NL[..., None]
        apart_MD = reordered(
            x_BTD.flatten(0, 1), self._gather_M, self._scatter_S, self._present_M, self._kept_S
        )
        return apart_MD.view(self.documents, self.longest, *x_BTD.shape[2:])

    def together(self, x_NLD: Tensor) -> Tensor:
        """The inverse of `documents_apart`, with zeros in the padding: `(B, T, D)`."""
        if self.full:
            return x_NLD
        rows_SD = reordered(
            x_NLD.flatten(0, 1), self._scatter_S, self._gather_M, self._kept_S, self._present_M
        )
        return rows_SD.view(self.rows, self.time, *x_NLD.shape[2:])

    @cached_property
    def present_NL(self) -> Tensor:
        """Of documents put apart, which positions are theirs. bool."""
        lengths = torch.tensor(self.lengths, device=self.device)
        return torch.arange(self.longest, device=self.device)[None] < lengths[:, None]

    @cached_property
    def _present_M(self) -> Tensor:
        return self.present_NL.flatten()

    @cached_property
    def _kept_S(self) -> Tensor:
        return (self.documents_BT != PADDING).flatten()

    @cached_property
    def _gather_M(self) -> Tensor:
        """For each place of `(N, longest)`, its place in the rows laid end to end."""
        starts = torch.tensor([s.row * self.time + s.start for s in self.spans])
        places = starts[:, None] + torch.arange(self.longest)[None]
        return places.clamp_(max=self.rows * self.time - 1).flatten().to(self.device)

    @cached_property
    def _scatter_S(self) -> Tensor:
        """For each place of the rows laid end to end, its place in `(N, longest)`."""
        numbers = self.documents_BT.clamp(min=0)
        return (numbers * self.longest + self.positions_BT).flatten()
