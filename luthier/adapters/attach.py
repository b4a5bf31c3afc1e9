"""Adapters on and off: a finished network in, the same network out, of which a little moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from luthier.adapters import AdapterSpec
from luthier.adapters.adapted import (
    ACTIVE,
    ADAPTERS,
    PLAIN,
    ROWS,
    adapt,
    base_weight,
    effective,
    is_made,
    quantise,
    restore,
    set_weight,
    weight_names,
)
from luthier.adapters.bias import BiasSpec, only_biases
from luthier.adapters.freeze import FreezeSpec, freeze
from luthier.adapters.lora import DEFAULT, LoraSpec, LowRank, Product
from luthier.adapters.new_rows import NewRows, Span
from luthier.adapters.still import keep_still, let_move
from luthier.adapters.targets import also_whole, quantisable, targets
from luthier.errors import InputError, nearest
from luthier.model.blocks.tokens import Tokens
from luthier.model.blocks.unembed import Unembed

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def attach(
    network: AnyModule,
    spec: AdapterSpec,
    *,
    new: Sequence[str] = (),
    tokens: Span | None = None,
    seed: int = 0,
) -> AnyModule:
    """Puts an adapter on a network, or holds some of it, and lets nothing else move.

    The names of the network's own weights stay, and what it computes too, until the adapter has
    learned. Adapters that are there already stay, no longer active and no longer moving.

    Args:
        network: With its weights, or on the meta device; changed in place.
        spec: The adapter.
        new: What the names of weights begin with that were not trained before, as those of a new
            head: they move, and no adapter is put on them.
        tokens: The numbers of new tokens: their vectors move, in the table and in a head that goes
            on.
        seed: Of what the adapter begins with.

    Raises:
        InputError: If a target is not there, or cannot have an adapter, or nothing would move;
            nothing is changed then.

    Example:
        >>> network = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
        >>> _ = attach(network, LoraSpec(rank=4, targets=("0",)))
        >>> sorted(name for name, weight in network.named_parameters() if weight.requires_grad)
        ['0.adapters.default.weight.down', '0.adapters.default.weight.up']
    """
    match spec:
        case LoraSpec():
            _attach_low_rank(network, spec, new, seed)
        case FreezeSpec():
            freeze(network, spec, new)
        case BiasSpec():
            only_biases(network, new)
    if tokens is not None:
        name = spec.name if isinstance(spec, LoraSpec) else DEFAULT
        for layer in _of_tokens(network, new):
            add_rows(layer, name, tokens)
        if name in names(network):
            activate(network, name)
    keep_still(network)
    return network


def _attach_low_rank(network: nn.Module, spec: LoraSpec, new: Sequence[str], seed: int) -> None:
    layers = targets(network, spec, new)
    also = also_whole(network, spec.also)
    _must_be_new(network, spec.name)
    dense = quantisable(network, new) if spec.quantises else {}
    network.requires_grad_(False)
    for layer in dense.values():
        quantise(layer)
    for name, layer in layers.items():
        for own in weight_names(layer):
            low = add(layer, own, spec.name, spec.product)
            low.draw(seed, f"{name}.{ADAPTERS}.{spec.name}.{own}.down")
    activate(network, spec.name)
    for name, weight in network.named_parameters():
        if name.startswith(tuple(new)) or name in also:
            weight.requires_grad_(True)


def exact(network: nn.Module) -> set[str]:
    """The names of weights that should not be rounded: an adapter has learned other lengths for
    them (DoRA), or has rows of new tokens among theirs."""
    found = set()
    for name, layer in adapted(network).items():
        for own in weight_names(layer):
            lows = [low_rank(layer, adapter, own) for adapter in _adapters(layer)]
            has_rows = any(ROWS in parts._modules for parts in _adapters(layer).values())
            if has_rows or any(low is not None and low.magnitude is not None for low in lows):
                found.add(f"{name}.{own}")
    return found


def quantise_dense(network: nn.Module, new: Sequence[str] = ()) -> None:
    """Keeps each dense layer that was trained before, but for the head, in four bits.

    Args:
        network: Changed in place.
        new: What the names of weights begin with that were not.

    Raises:
        InputError: If there is none.
    """
    for layer in quantisable(network, new).values():
        quantise(layer)


def add(layer: nn.Module, weight: str, name: str, product: Product) -> LowRank:
    """Puts the adapter `name` beside a weight of a layer, not active yet, and not drawn."""
    adapt(layer)
    adapters = _adapters(layer)
    if name not in adapters:
        adapters[name] = nn.ModuleDict()
    low = LowRank(base_weight(layer, weight), product, table=isinstance(layer, nn.Embedding))
    parts = adapters[name]
    assert isinstance(parts, nn.ModuleDict)
    parts[weight] = low
    return low


def add_rows(layer: nn.Module, name: str, span: Span) -> NewRows:
    """Has the adapter `name` bring rows of new tokens to a table or a head, not active yet."""
    adapt(layer)
    adapters = _adapters(layer)
    if name not in adapters:
        adapters[name] = nn.ModuleDict()
    rows = NewRows(base_weight(layer), span)
    adapters[name].add_module(ROWS, rows)
    return rows


def _of_tokens(network: nn.Module, new: Sequence[str]) -> list[nn.Module]:
    """The layers that have a row for each token, and do not move whole."""
    found: list[nn.Module] = []
    for name, module in network.named_modules():
        layer: nn.Module | None = None
        if isinstance(module, Tokens):
            layer = module.table
        elif isinstance(module, Unembed) and not f"{name}.".startswith(tuple(new)):
            layer = module.linear
        if layer is not None and not base_weight(layer).requires_grad:
            found.append(layer)
    return found


def activate(network: nn.Module, name: str | None) -> None:
    """Has the network use the adapter `name`, and lets that one move; None for the network alone.

    Raises:
        InputError: If there is none of that name.
    """
    _must_exist(network, name)
    for layer in adapted(network).values():
        layer.__dict__[ACTIVE] = name
        for own, parts in _adapters(layer).items():
            parts.requires_grad_(own == name)


def merge(network: AnyModule, name: str | None = None) -> AnyModule:
    """Adds what an adapter has learned to the weights, and takes all adapters off.

    Args:
        network: Changed in place; computes what it did with the adapter.
        name: Of the adapter; None for the active one.

    Raises:
        InputError: If there is none of that name.
    """
    if name is not None:
        activate(network, name)
    with torch.no_grad():
        for layer in adapted(network).values():
            for own in weight_names(layer):
                set_weight(layer, own, effective(layer, own))
            restore(layer)
    let_move(network)
    network.requires_grad_(True)
    return network


@torch.no_grad()
def merged(network: nn.Module) -> dict[str, Tensor]:
    """The weights that `merge` would leave, by name; the network stays as it is."""
    state = {n: t for n, t in network.state_dict().items() if not is_made(n)}
    for name, layer in adapted(network).items():
        for own in weight_names(layer):
            state[f"{name}.{own}" if name else own] = effective(layer, own)
    return state


def adapted(network: nn.Module) -> dict[str, nn.Module]:
    """The layers that have adapters, by name."""
    return {name: layer for name, layer in network.named_modules() if type(layer) in PLAIN}


def low_rank(layer: nn.Module, name: str, weight: str = "weight") -> LowRank | None:
    """What the adapter `name` adds to a weight of a layer; none where it adds nothing."""
    if type(layer) not in PLAIN or name not in _adapters(layer):
        return None
    low = _adapters(layer)[name]._modules.get(weight)
    assert low is None or isinstance(low, LowRank)
    return low


def names(network: nn.Module) -> list[str]:
    """The adapters of a network."""
    return sorted({name for layer in adapted(network).values() for name in _adapters(layer)})


def _adapters(layer: nn.Module) -> nn.ModuleDict:
    found = layer._modules[ADAPTERS]
    assert isinstance(found, nn.ModuleDict)
    return found


def _must_be_new(network: nn.Module, name: str) -> None:
    if name in names(network):
        raise InputError(
            f"adapter.name: the network has an adapter called {name} already; give another name"
        )


def _must_exist(network: nn.Module, name: str | None) -> None:
    if name is not None and name not in names(network):
        raise InputError(f"no adapter is called {name}{nearest(name, names(network))}")
