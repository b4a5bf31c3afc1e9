"""What of a fine-tuning's memory is known by its tensors."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def parts(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, int]:
    """Bytes of the weights that stay, of those that move, of gradients, and of the optimizer.

    What is not among them is activations, what is computed on the way, and the program.
    """
    own = {id(one): one for one in itertools.chain(network.parameters(), network.buffers())}
    moving = [one for one in own.values() if one.requires_grad]
    still = [one for one in own.values() if not one.requires_grad]
    state = [
        value
        for entries in optimizer.state.values()
        for value in entries.values()
        if isinstance(value, Tensor)
    ]
    return {
        "still": _bytes(still),
        "moving": _bytes(moving),
        "gradients": _bytes(moving),
        "optimizer": _bytes(state),
    }


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(one.numel() * one.element_size() for one in tensors)
