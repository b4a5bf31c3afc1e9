"""Weights that no longer change, kept in the type that they are multiplied in."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from luthier.errors import RunError
from luthier.model.blocks.moe import Moe


def round_still(network: nn.Module, still: Collection[str], dtype: torch.dtype) -> frozenset[str]:
    """Rounds the weights of dense layers that do not move, as autocast does at each use.

    The network computes the same, bit for bit, with half of the memory, and rounds nothing anew
    in each step. Who needs the weights whole brings them: `put_back`.

    Args:
        network: Changed in place; runs under autocast to `dtype`.
        still: The names of weights that do not move, and are kept elsewhere.
        dtype: Of the products.

    Returns:
        The names of those that were rounded.
    """
    exact = {id(m.router) for m in network.modules() if isinstance(m, Moe)}  # in float32
    rounded = set()
    for name, layer in network.named_modules():
        own = f"{name}.weight" if name else "weight"
        weight = layer._parameters.get("weight") if isinstance(layer, nn.Linear) else None
        if weight is None or own not in still or id(layer) in exact:
            continue
        if weight.dtype == torch.float32:
            layer._parameters["weight"] = nn.Parameter(weight.to(dtype), requires_grad=False)
            rounded.add(own)
    return frozenset(rounded)


def put_back(network: nn.Module, rounded: Collection[str], whole: Mapping[str, Tensor]) -> None:
    """Gives a network its weights as they were before `round_still`.

    Raises:
        RunError: If these are others.
    """
    for own in rounded:
        layer = network.get_submodule(own.rpartition(".")[0])
        weight = layer._parameters["weight"]
        given = whole.get(own)
        assert weight is not None, f"{own} has gone"
        if given is None or not torch.equal(given.to(weight.device, weight.dtype), weight):
            raise RunError(
                f"{own} is no longer what the run started from; bring its start back as it was, "
                "and go on with --resume"
            )
        layer._parameters["weight"] = nn.Parameter(given.to(weight.device), requires_grad=False)
