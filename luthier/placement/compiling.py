"""What `torch.compile` rewrites: the layers, in training."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from luthier.errors import InputError
from luthier.model.blueprint import Network
from luthier.model.stream import Stream
from luthier.placement.recompute import repeated

COMPILERS = ("g++", "clang++", "c++")


def compile_for_training(network: nn.Module, backend: str | Callable[..., Any] = "inductor") -> int:
    """Has torch compile the copies of each repeat; in a network without one, all of its layers.

    The copies of a repeat share their code, so that a deep network takes no longer than a flat
    one. Each shape of a batch gets code of its own, since code for any shape would round
    differently, depending on which came first: a run that goes on would not end in the same bits.

    Evaluation, generation, and batches whose rows hold several documents or padding run as they
    would without: they have too many shapes.

    Args:
        network: Changed in place; the names of its weights stay.
        backend: What torch hands the operations to.

    Returns:
        The parts that are compiled.
    """
    parts = list(_parts(network))
    for part in parts:
        compiled = torch.compile(part.forward, backend=backend, dynamic=False)
        part.forward = _in_training(part.forward, compiled)
    return len(parts)


def must_have_compiler(device: str) -> None:
    """Refuses to compile for a CPU without a C++ compiler, before torch does in the first step.

    Raises:
        InputError: If there is none.
    """
    named = os.environ.get("CXX")
    if device != "cpu" or any(map(shutil.which, (*COMPILERS, *((named,) if named else ())))):
        return
    raise InputError(
        "placement.compile: got true, but there is no C++ compiler here, which torch.compile wants "
        "for a CPU; install g++, or leave it out"
    )


def _parts(network: nn.Module) -> Iterator[nn.Module]:
    copies = list(repeated(network))
    yield from copies
    if not copies:
        yield network.layers if isinstance(network, Network) else network


def _in_training(plain: Callable[..., Tensor], compiled: Callable[..., Tensor]) -> Any:
    def forward(x: Tensor, *rest: Any) -> Tensor:
        stream = rest[0] if rest else None
        whole = not isinstance(stream, Stream) or (stream.layout is None and stream.state is None)
        learns = torch.is_grad_enabled() and not x.is_meta
        return compiled(x, *rest) if whole and learns else plain(x, *rest)

    return forward
