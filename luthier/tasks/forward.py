"""One forward pass of a network: what it reads beside its input, and what it adds to the loss.

Dimension key, for the whole file:
    B  rows      T  positions of a row      D  width
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.blueprint import Network
from luthier.model.stream import Stream, Streamed, through
from luthier.signal import Signal
from luthier.tasks.task import Loss


def knows_documents(network: nn.Module) -> bool:
    """Whether the network reads a stream: it is made of blocks, and not somebody's own module."""
    return isinstance(network, Network) and isinstance(network.layers, Streamed)


def forward(network: nn.Module, x: Tensor, stream: Stream) -> Tensor:
    """What the network gives; a module that reads no stream gets none."""
    y: Tensor = network(x, stream) if isinstance(network, Network) else network(x)
    return y


def before_last(network: Network, x: Tensor, stream: Stream) -> Tensor:
    """What the last block of the head reads."""
    x = network.features(x, stream)
    for block in list(network.head)[:-1]:
        x = through(block, x, stream)
    return x


def last_of_head(network: nn.Module) -> nn.Module | None:
    """The last block of what a task added to a network; none where it added nothing."""
    if not isinstance(network, Network) or not len(network.head):
        return None
    return list(network.head)[-1]


def finished(loss_sum: Tensor, count: Tensor, stream: Stream, share: float = 1.0) -> Loss:
    """The loss of a pass with what the blocks of the network add to it.

    Args:
        loss_sum: The task's own.
        count: What it is a sum over.
        stream: Of the pass.
        share: About as many targets as there are for a position. What a block adds is a sum over
            positions; times this it weighs the same in every task. A constant of the data, so
            that the parts of a batch add up to the batch.
    """
    parts = {name: share * part for name, part in stream.losses.items()}
    for part in parts.values():
        loss_sum = loss_sum + part
    return Loss(loss_sum, count, parts)


def in_float32(y: Tensor) -> Tensor:
    """Scores in 32 bits at least, whatever the network was run in."""
    return y.to(torch.promote_types(y.dtype, torch.float32))


def must_be_sequence(kind: str, signal: Signal) -> None:
    """Refuses what has no vector for each token.

    Raises:
        ShapeError: If it is no sequence.
    """
    if signal.form == "tokens":
        raise ShapeError(f"{kind} reads a sequence, got {signal}; begin with {{kind: tokens}}")
    if signal.form != "sequence":
        raise ShapeError(
            f"{kind} reads a sequence, got {signal}; leave out what pools or flattens it"
        )
