"""A network from its input to its output, as the layers that a person counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from luthier.model.blocks.repeat import Repeat
from luthier.model.blueprint import Network
from luthier.model.chain import Chain


def stages(network: nn.Module, new: Sequence[str] = ()) -> list[list[str]]:
    """The names of the weights of each layer, from the input on.

    Each copy of a repeat counts. What has no matrix, as a norm, belongs to what comes before it.

    Args:
        network: Any; of somebody's own module its direct parts are the layers.
        new: What the names of weights begin with that were not trained before: they are in none.

    Example:
        >>> stages(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 2)))
        [['0.weight', '0.bias', '1.weight', '1.bias'], ['3.weight', '3.bias']]
    """
    found: list[list[str]] = []
    for prefix, unit in _units(network):
        own = {f"{prefix}{name}": weight for name, weight in unit.named_parameters()}
        named = [name for name in own if not name.startswith(tuple(new))]
        if any(own[name].ndim >= 2 for name in named) or not found:
            found.append(named)
        else:
            found[-1] += named
    return [stage for stage in found if stage]


def _units(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(network, Network):
        for name, part in network.named_children():
            yield from _parts(part, f"{name}.")
    else:
        yield from _parts(network, "")


def _parts(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """The direct parts; those that only hold others, opened."""
    for name, part in module.named_children():
        inside = f"{prefix}{name}."
        if isinstance(part, Repeat):
            for number, copy in enumerate(part.chains()):
                yield f"{inside}copies.{number}.", copy
        elif isinstance(part, nn.ModuleList | nn.Sequential) and not isinstance(part, Chain):
            yield from _parts(part, inside)
        else:
            yield inside, part
