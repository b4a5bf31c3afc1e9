"""Blocks that run one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.measure import measure
from luthier.model.stream import Stream, Streamed, through
from luthier.signal import Signal


@dataclass(frozen=True, kw_only=True)
class Step:
    """A block where it stands."""

    place: str
    """Inside of what holds the chain: `layers[3]`; for the whole network `model.layers[3]`."""
    spec: BlockSpec
    reads: Signal
    gives: Signal


class Chain(nn.Sequential, Streamed):
    """Blocks that run in order, each built for what the one before it gives.

    Its weights are on the meta device until `initialize.materialize` fills them.

    Args:
        specs: The blocks; with none of them, a chain gives what it reads.
        reads: What reaches the first.
        place: The name of the list that they stand in: `model.layers`.
        origin: The kind of the block before the chain, for messages; empty for none.
        like: A chain of the same blocks that reads the same, if there is one: its measures hold.

    Raises:
        ShapeError: If a block cannot read what reaches it, with its place.
    """

    steps: tuple[Step, ...]
    gives: Signal

    def __init__(
        self,
        specs: Sequence[BlockSpec],
        reads: Signal,
        place: str,
        origin: str = "",
        like: Chain | None = None,
    ) -> None:
        super().__init__()
        self.reads = reads
        steps: list[Step] = []
        for index, spec in enumerate(specs):
            here = f"{place}[{index}]"
            try:
                with torch.device("meta"):
                    block = spec.build(reads)
                gives = _measured(spec, block, reads) if like is None else like.steps[index].gives
            except ShapeError as error:
                raise _with_origin(error, reads, origin).at(here) from None
            self.append(block)
            steps.append(Step(place=here, spec=spec, reads=reads, gives=gives))
            reads, origin = gives, spec.kind
        self.steps = tuple(steps)
        self.gives = reads

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """`x` through all blocks.

        Raises:
            ShapeError: If a block cannot keep documents apart, or go on from a state.
        """
        laid_out = stream is not None and stream.layout is not None
        for index, block in enumerate(self):
            try:
                y = through(block, x, stream)
            except ShapeError as error:
                raise error.at(self.steps[index].place) from None
            blind = laid_out and x.ndim == 3 and not isinstance(block, Streamed)
            if blind and y.shape[:2] != x.shape[:2]:
                raise self._moves(index)
            x = y
        return x

    def _moves(self, index: int) -> ShapeError:
        step = self.steps[index]
        return ShapeError(
            f"{step.spec.kind} changes the positions of what it reads, which texts of different "
            "lengths do not allow; keep them (padding: same, stride: 1), or pool them all with "
            "{kind: global_pool}",
            step.place,
        )


def _measured(spec: BlockSpec, block: nn.Module, reads: Signal) -> Signal:
    if isinstance(block, Streamed) and block.gives is not None:
        return block.gives
    try:
        return measure(block, reads)
    except ShapeError as error:
        raise ShapeError(f"{spec.kind} {error.message}") from None


def _with_origin(error: ShapeError, reads: Signal, origin: str) -> ShapeError:
    """The error with the block that the signal comes from named behind the signal.

    A block does not know what is before it. An error of an inner block, which has a place
    already, speaks of another signal.
    """
    if error.place or not origin:
        return error
    gets = f"gets {reads}"
    return ShapeError(error.message.replace(gets, f"{gets} from {origin}", 1))
