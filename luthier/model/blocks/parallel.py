"""Parallel: branches that read the same, and whose outputs are joined.

Dimension key, for the whole file:
    B  batch
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks.residual import must_keep_positions
from luthier.model.chain import Chain
from luthier.model.stream import Stream, Streamed, through
from luthier.signal import Signal
from luthier.spec import Many

if TYPE_CHECKING:
    Block = BlockSpec  # the union of all blocks, which `blocks/__init__.py` makes


class ParallelSpec(BlockSpec):
    """Branches that read the same, and whose outputs are joined.

    A branch with no layers, `[]`, passes its input on: with `join: concat` that is the step of a
    DenseNet, and several filters side by side are an Inception block.
    """

    kind: Literal["parallel"] = "parallel"
    branches: Many[Many[Block]]
    """The branches, each a list of layers."""
    join: Literal["concat", "add"] = "concat"
    """concat puts the features of the branches side by side, and wants equal positions; add
    wants equal shapes."""

    @field_validator("branches")
    @classmethod
    def _several(cls, branches: tuple[tuple[Block, ...], ...]) -> tuple[tuple[Block, ...], ...]:
        if len(branches) < 2:
            raise ValueError(
                f"got {len(branches)} of them; wanted 2 or more, each a list of layers"
            )
        return branches

    def build(self, signal: Signal) -> Parallel:
        """A `Parallel` for `signal`."""
        return Parallel(self, signal)

    def blocks(self) -> int:
        """Itself and the layers of all branches."""
        return 1 + sum(layer.blocks() for branch in self.branches for layer in branch)


class Parallel(Streamed):
    """`join(branch 1 (x), branch 2 (x), …)`.

    Args:
        spec: The branches, and how they are joined.
        signal: What each of them reads.

    Raises:
        ShapeError: If the outputs cannot be joined.
    """

    def __init__(self, spec: ParallelSpec, signal: Signal) -> None:
        super().__init__()
        chains = [
            Chain(branch, signal, f"branches[{index}]")
            for index, branch in enumerate(spec.branches)
        ]
        for chain in chains:
            must_keep_positions(spec.kind, chain)
        _check(spec, [chain.gives for chain in chains])
        self.branches = nn.ModuleList(chains)
        self.added = spec.join == "add"
        self.dim = 1 if chains[0].gives.form == "image" else -1

    def chains(self) -> tuple[Chain, ...]:
        """The branches, in order."""
        return tuple(branch for branch in self.branches if isinstance(branch, Chain))

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The joined outputs."""
        outputs = [through(branch, x, stream) for branch in self.branches]
        if not self.added:
            return torch.cat(outputs, self.dim)
        total: Tensor = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total


def _check(spec: ParallelSpec, gives: list[Signal]) -> None:
    listed = ", ".join(f"branches[{index}] gives {signal}" for index, signal in enumerate(gives))
    if spec.join == "add" and len(set(gives)) > 1:
        raise ShapeError(
            f"parallel cannot add its branches: {listed}; make the shapes equal, or use "
            "join: concat"
        )
    if len({_beside_features(signal) for signal in gives}) > 1:
        raise ShapeError(
            f"parallel cannot put its branches side by side: {listed}; make all but the features "
            "equal"
        )


def _beside_features(signal: Signal) -> tuple[str, tuple[int, ...]]:
    shape = signal.shape[1:] if signal.form == "image" else signal.shape[:-1]
    return signal.form, shape
