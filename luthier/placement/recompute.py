"""Less memory for training: what a copy of a repeat would keep is computed a second time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from luthier.errors import InputError
from luthier.model.blocks.repeat import Repeat
from luthier.model.chain import Chain
from luthier.model.stream import Stream

Forward = Callable[[Tensor, Stream | None], Tensor]


def recompute_blocks(network: nn.Module) -> int:
    """Has each copy of each repeat keep its input alone, and run again in the backward pass.

    Values, gradients and what is left out at random are the same: random numbers are drawn from
    the same state again, and the statistics of norms are measured once. Evaluation and generation
    run as they would without.

    Args:
        network: Changed in place; the names of its weights stay.

    Returns:
        The copies.

    Raises:
        InputError: If the network repeats nothing.

    Source:
        Chen et al. 2016, 1604.06174.
    """
    parts = list(repeated(network))
    if not parts:
        raise InputError(
            "placement.recompute: got blocks, but the network has no {kind: repeat} whose copies "
            "could be computed again; leave it out"
        )
    for part in parts:
        part.forward = _recomputing(part, part.forward)  # type: ignore[method-assign]
    return len(parts)


def repeated(network: nn.Module) -> Iterator[Chain]:
    """The copies of each repeat that is in no other one."""
    repeats = [module for module in network.modules() if isinstance(module, Repeat)]
    inner = {id(part) for repeat in repeats for part in list(repeat.modules())[1:]}
    for repeat in repeats:
        if id(repeat) not in inner:
            yield from repeat.chains()


def _recomputing(part: Chain, plain: Forward) -> Any:
    def forward(x: Tensor, stream: Stream | None = None) -> Tensor:
        learns = part.training and torch.is_grad_enabled() and not x.is_meta
        if not learns or (stream is not None and stream.state is not None):
            return plain(x, stream)
        run = _run(plain, stream)
        y: Tensor
        y, told = checkpoint(run, x, use_reentrant=False, context_fn=lambda: _contexts(part))
        if stream is not None:
            stream.layout = told.layout  # a block may have changed the positions
            stream.shared |= told.shared
            stream.handed_on |= told.handed_on
            for name, loss in told.losses.items():
                stream.add_loss(name, loss)
        return y

    return forward


def _run(plain: Forward, stream: Stream | None) -> Callable[[Tensor], tuple[Tensor, Any]]:
    """The copy as a function of its input alone, so that it does the same the second time.

    What it reads of the stream is as it was before the first time; what it adds to the stream it
    hands back, for whoever called it the first time. The stream itself is not held, since it holds
    sums whose graph would hold it.
    """
    if stream is None:
        return lambda x: (plain(x, None), None)
    before = replace(stream, shared=dict(stream.shared), losses={}, handed_on={})

    def run(x: Tensor) -> tuple[Tensor, Stream]:
        own = replace(before, shared=dict(before.shared), losses={}, handed_on={})
        return plain(x, own), own

    return run


def _contexts(part: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _buffers_stay(part)


@contextmanager
def _buffers_stay(part: nn.Module) -> Iterator[None]:
    """Lets a pass change copies of the buffers: a norm has measured this batch already."""
    kept = [(module, name, b) for module in part.modules() for name, b in module._buffers.items()]
    for module, name, buffer in kept:
        module._buffers[name] = None if buffer is None else buffer.clone()
    try:
        yield
    finally:
        for module, name, buffer in kept:
            module._buffers[name] = buffer
