"""What goes through a network beside the values: where documents lie, what is carried on.

Dimension key, for the whole file:
    B  rows      T  positions      S  positions of a source      D  width
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.layout import Layout
from luthier.signal import Signal


@dataclass(frozen=True, kw_only=True)
class State:
    """What a network remembers of the positions that it has read: keys and values, hidden states.

    A value: passed in, and handed back as another one. What was passed in must not be used again,
    since the next one may lie in the same memory.

    Attributes:
        capacity: The most positions of a row, those that are still to come included.
        begins: The first position of each row that is no padding; empty where all rows begin at 0.
        time: Positions read so far, padding at the left included.
        beams: Rows next to each other that have one source, and remember it once.
        blocks: What each block remembers, by the block's name.
    """

    capacity: int
    begins: tuple[int, ...] = ()
    time: int = 0
    beams: int = 1
    blocks: Mapping[str, Any] = field(default_factory=dict)

    def of_rows(self, rows: Sequence[int]) -> State:
        """What is remembered of some of the rows, in memory of its own.

        Args:
            rows: Their numbers. Where rows have a source together, as many of each source as
                before, next to each other.
        """
        picked: dict[torch.device, Tensor] = {}
        sources = [row // self.beams for row in rows[:: self.beams]]
        return replace(
            self,
            begins=tuple(self.begins[row] for row in rows) if self.begins else (),
            blocks={
                name: part.of_sources(sources)
                if isinstance(part, OfSources)
                else _of_rows(part, list(rows), picked)
                for name, part in self.blocks.items()
            },
        )

    def spread(self, beams: int) -> State:
        """The same with each row several times; what is remembered of a source is not copied.

        Args:
            beams: How many times.
        """
        assert self.beams == 1, "rows that have a source together already"
        rows = len(self.begins) or _rows_of(self.blocks)
        times = [row for row in range(rows) for _ in range(beams)]
        own = {n: p for n, p in self.blocks.items() if not isinstance(p, OfSources)}
        spread = replace(self, blocks=own).of_rows(times)
        return replace(spread, beams=beams, blocks={**self.blocks, **spread.blocks})


@dataclass(frozen=True)
class Source:
    """What an encoder gave.

    Attributes:
        x_BSD: A vector for each position.
        layout: Where its documents lie; none where each row is one, whole.
    """

    x_BSD: Tensor
    layout: Layout | None

    @property
    def count(self) -> int:
        """Documents."""
        return len(self.x_BSD) if self.layout is None else self.layout.documents


class OfSources:
    """What a block remembers of the sources of the rows, and not of the rows."""

    @abstractmethod
    def of_sources(self, sources: Sequence[int]) -> OfSources:
        """What is remembered of some of the sources.

        Args:
            sources: Their numbers.
        """

    @property
    @abstractmethod
    def count(self) -> int:
        """Sources."""


def _rows_of(blocks: Mapping[str, Any]) -> int:
    """Rows of a state."""
    part: Any = next(iter(blocks.values()))
    while not isinstance(part, Tensor):
        if isinstance(part, OfSources):
            return part.count
        part = part[0] if isinstance(part, tuple) else getattr(part, fields(part)[0].name)
    return len(part)


def _of_rows(part: Any, rows: list[int], picked: dict[torch.device, Tensor]) -> Any:
    """Some rows of what a block remembers: rows come first in all tensors of it.

    Args:
        part: What it remembers.
        rows: Their numbers.
        picked: The same as a tensor, for each device that asked.
    """
    if isinstance(part, Tensor):
        if part.device not in picked:
            picked[part.device] = torch.tensor(rows, device=part.device)
        return part.index_select(0, picked[part.device])  # several times as fast as `part[rows]`
    if isinstance(part, tuple):
        inside = [_of_rows(inner, rows, picked) for inner in part]
        return tuple(inside) if type(part) is tuple else type(part)(*inside)
    assert is_dataclass(part), f"a state with a {type(part)}"
    assert not isinstance(part, type)
    inner = {f.name: _of_rows(getattr(part, f.name), rows, picked) for f in fields(part)}
    return replace(part, **inner)


@dataclass(kw_only=True)
class Stream:
    """What the blocks of a network read beside their input, in one forward pass.

    Attributes:
        layout: Where documents lie in the rows; none where each row is one document, whole.
        types_BT: Which part of a pair each position belongs to, from 0; none for all 0. int64.
        source_BSD: What an encoder gives, for the blocks that read it.
        source_layout: Where its documents lie: document n of the source belongs to document n.
        state: What was carried on from earlier positions of the rows; none where a forward pass
            reads all there is. With a state there is no layout: `state.begins` tells the padding.
        handed_on: What each block carries on, by its name. Filled by the blocks.
        losses: Sums that a block adds to the loss, by name: `load_balance`. Filled by the blocks;
            each is a sum over positions, as the loss is.
        shared: What blocks make of all this once in a pass, for each other: the angles of the
            positions. By what it is made from.
    """

    layout: Layout | None = None
    types_BT: Tensor | None = None
    source_BSD: Tensor | None = None
    source_layout: Layout | None = None
    state: State | None = None
    handed_on: dict[str, Any] = field(default_factory=dict)
    losses: dict[str, Tensor] = field(default_factory=dict)
    shared: dict[Any, Any] = field(default_factory=dict)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def add_loss(self, name: str, loss_sum: Tensor) -> None:
        """Adds to what the blocks of that kind add to the loss."""
        self.losses[name] = self.losses[name] + loss_sum if name in self.losses else loss_sum


class Streamed(nn.Module):
    """A module that reads a stream beside its input: what mixes positions, or holds what does.

    Attributes:
        name: What its state is called; set by the network, once that is whole.
        moves: Whether other positions come out than go in; where they lie, it then says in the
            layout of the stream. Blocks with a way around cannot hold such a one.
        gives: One sample of what it gives, where that is known of its parts; none where it is to
            be measured.
    """

    name: str = ""
    moves: bool = False
    gives: Signal | None = None

    def lengths_behind(self, lengths: tuple[int, ...]) -> tuple[int, ...]:
        """Positions of each document behind it, of so many before it; not those of its parts."""
        return lengths

    @abstractmethod
    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """What it makes of `x`; without a stream, each row is one document, whole."""


def through(module: nn.Module, x: Tensor, stream: Stream | None) -> Tensor:
    """`module(x)`, with the stream where the module reads it."""
    y: Tensor = module(x, stream) if isinstance(module, Streamed) else module(x)
    return y


def absent(state: State, time: int, device: torch.device) -> Tensor:
    """Which of `time` new positions are padding at the left of their row. `(B, T)`, bool."""
    begins_B = torch.tensor(state.begins, device=device)
    return torch.arange(state.time, state.time + time, device=device) < begins_B[:, None]


def whole_rows_only(kind: str, x: Tensor, stream: Stream | None, instead: str) -> None:
    """Refuses a sequence whose rows are no whole documents.

    Args:
        kind: Of a block that can neither keep documents apart nor go on from a state.
        x: What it reads; `(B, T, D)` where it is a sequence.
        stream: Of the forward pass.
        instead: What to do: `use {kind: layer_norm}`.

    Raises:
        ShapeError: If they are not.
    """
    if stream is None or x.ndim != 3:
        return
    if stream.layout is not None:
        raise ShapeError(f"{kind} cannot keep texts of different lengths apart; {instead}")
    if stream.state is not None:
        raise ShapeError(f"{kind} cannot read a text step by step; {instead}")


def positions(stream: Stream | None, time: int, device: torch.device) -> Tensor:
    """The place of each position in its document, from 0: `(T,)`, or `(B, T)` where rows differ.

    Args:
        stream: Of the forward pass.
        time: T.
        device: Where the numbers are wanted.
    """
    if stream is not None and stream.layout is not None:
        assert stream.state is None, "a state and a layout both tell where documents begin"
        return stream.layout.positions_BT
    state = None if stream is None else stream.state
    if state is None:
        return torch.arange(time, device=device)
    places_T = torch.arange(state.time, state.time + time, device=device)
    if not state.begins:
        return places_T
    begins_B = torch.tensor(state.begins, device=device)
    return (places_T[None] - begins_B[:, None]).clamp(min=0)


def longest(stream: Stream | None, time: int) -> int:
    """Positions of the longest document of a pass, those read before included.

    Args:
        stream: Of the forward pass.
        time: T.
    """
    if stream is None:
        return time
    if stream.layout is not None:
        return stream.layout.longest
    if stream.state is None:
        return time
    return stream.state.time + time - min(stream.state.begins, default=0)
