"""Exact rewrites of a finished network: the same function, in an order that suits the memory.

Each holds for any design, and none renames a weight.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from luthier.model.blocks.conv import Conv
from luthier.model.blocks.dense import Dense
from luthier.model.blocks.flatten import Flatten
from luthier.model.blocks.pool import MaxPool
from luthier.model.blueprint import Network
from luthier.model.chain import Chain

MONOTONE = (nn.ReLU, nn.LeakyReLU)
"""Activations that a maximum may be taken before. Not those that saturate: where two inputs of a
window give the same output, the gradient would reach another one of them."""


def pool_first(network: nn.Module) -> int:
    """Moves a monotone activation from a convolution to behind the max pool that follows it.

    `max(relu(x)) = relu(max(x))`, and the gradient reaches the same element: fewer elements
    to activate.

    Returns:
        How many were moved.
    """
    moved = 0
    for first, second in _neighbours(network):
        if not (isinstance(first, Conv) and isinstance(second, MaxPool)):
            continue
        if isinstance(first.activation, MONOTONE) and isinstance(second.activation, nn.Identity):
            first.activation, second.activation = second.activation, first.activation
            moved += 1
    return moved


def flatten_in_memory_order(network: nn.Module) -> dict[str, Tensor]:
    """Flattens channels-last images in the order of their memory, with no copy.

    The columns of the dense weight behind the flatten are permuted once, in place, to match.

    Returns:
        For each weight that was permuted, by name: the canonical column of each stored one.
    """
    names = {id(module): name for name, module in network.named_modules()}
    columns: dict[str, Tensor] = {}
    for first, second in _neighbours(network):
        if not (isinstance(first, Flatten) and isinstance(second, Dense)):
            continue
        if first.reads.form != "image" or first.order == "channels_last":
            continue
        if type(second.linear) is not nn.Linear:
            continue  # what an adapter reads would have to be reordered too
        first.order = "channels_last"
        canonical = torch.arange(second.linear.in_features).view(first.reads.shape)
        order = canonical.permute(1, 2, 0).flatten()
        weight = second.linear.weight
        with torch.no_grad():
            weight.copy_(weight[:, order.to(weight.device)])
        columns[f"{names[id(second)]}.linear.weight"] = order
    return columns


def _neighbours(network: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Each pair of blocks of which the second reads just what the first gives."""
    pairs: list[tuple[nn.Module, nn.Module]] = []
    for module in network.modules():
        blocks: list[nn.Module] = []
        if isinstance(module, Network) and isinstance(module.layers, Chain):
            blocks = [*list(module.layers)[-1:], *module.neck, *list(module.head)[:1]]
        elif isinstance(module, Chain):
            blocks = list(module)
        pairs += itertools.pairwise(blocks)
    return pairs
