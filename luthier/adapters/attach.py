"""Adapters on and off: a finished network in, the same network out, of which a little moves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from luthier.adapters import AdapterSpec
from luthier.adapters.adapted import (
    ACTIVE,
    ADAPTED,
    ADAPTERS,
    PLAIN,
    RECURRENT,
    adapt,
    base_weight,
    effective,
    is_made,
    quantise,
    quantised,
    restore,
    set_weight,
    weight_names,
    weight_shape,
)
from luthier.adapters.bias import BiasSpec, only_biases
from luthier.adapters.freeze import FreezeSpec, freeze
from luthier.adapters.lora import LoraSpec, LowRank, Product
from luthier.adapters.matching import matches, matching
from luthier.adapters.still import keep_still, let_move
from luthier.errors import InputError, nearest

AnyModule = TypeVar("AnyModule", bound=nn.Module)
HEAD = "head."
"""What the names of a network's head begin with: auto leaves it alone."""


def attach(
    network: AnyModule, spec: AdapterSpec, *, new: Sequence[str] = (), seed: int = 0
) -> AnyModule:
    """Puts an adapter on a network, or holds some of it, and lets nothing else move.

    The names of the network's own weights stay, and what it computes too, until the adapter has
    learned. Adapters that are there already stay, no longer active and no longer moving.

    Args:
        network: With its weights, or on the meta device; changed in place.
        spec: The adapter.
        new: What the names of weights begin with that were not trained before, as those of a new
            head: they move, and no adapter is put on them.
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
    keep_still(network)
    return network


def _attach_low_rank(network: nn.Module, spec: LoraSpec, new: Sequence[str], seed: int) -> None:
    layers = targets(network, spec, new)
    also = _also(network, spec.also)
    _must_be_new(network, spec.name)
    dense = _quantisable(network, new) if spec.quantises else {}
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
    """The names of weights whose lengths an adapter has learned others for (DoRA): rounded, they
    would have other lengths."""
    found = set()
    for name, layer in adapted(network).items():
        for own in weight_names(layer):
            lows = [low_rank(layer, adapter, own) for adapter in _adapters(layer)]
            if any(low is not None and low.magnitude is not None for low in lows):
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
    for layer in _quantisable(network, new).values():
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


def targets(network: nn.Module, spec: LoraSpec, new: Sequence[str] = ()) -> dict[str, nn.Module]:
    """The layers that an adapter goes to, by name.

    Raises:
        InputError: If there are none, or one cannot have an adapter.
    """
    layers = {
        name: module
        for name, module in network.named_modules(remove_duplicate=True)
        if name and ADAPTERS not in name.split(".")
    }
    if spec.targets == "auto":
        found = {
            name: layer
            for name, layer in layers.items()
            if not name.startswith((HEAD, *new)) and _suits(layer, spec.rank)
        }
        if not found:
            raise InputError(
                f"adapter.targets: auto finds no layer of which a part of rank {spec.rank} is "
                "smaller than its weights; lower adapter.rank, or leave adapter out"
            )
    else:
        adaptable = [name for name, layer in layers.items() if _plain(layer) in ADAPTED]
        named = matching(layers, spec.targets, place="adapter.targets", what="layer")
        found = {name: layers[name] for name in named if name in adaptable}
        for pattern in spec.targets:
            meant = matching(layers, (pattern,), place="adapter.targets", what="layer")
            if not any(name in found for name in meant):
                raise _cannot(pattern, layers[meant[0]], adaptable)
    _must_fit(network, found, spec)
    return found


def short_targets(network: nn.Module, layers: Iterable[str]) -> list[str]:
    """Patterns that mean just these layers: `query`, else `layers.*.query`, else each name."""
    layers = list(layers)
    last = {name.rpartition(".")[2] for name in layers}
    between = {f"{name.partition('.')[0]}.*.{name.rpartition('.')[2]}" for name in layers}
    for patterns in (sorted(last), sorted(between)):
        meant = {
            name
            for name, layer in network.named_modules()
            if _plain(layer) in ADAPTED and any(matches(name, pattern) for pattern in patterns)
        }
        if meant == set(layers):
            return patterns
    return layers


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


def _plain(layer: nn.Module) -> type[nn.Module]:
    return PLAIN.get(type(layer), type(layer))


def _suits(layer: nn.Module, rank: int) -> bool:
    """Whether auto takes a layer."""
    if _plain(layer) not in ADAPTED or isinstance(layer, nn.Embedding):
        return False
    sizes = [weight_shape(layer, own) for own in weight_names(layer)]
    return all(rank * (shape[0] + shape[1:].numel()) < shape.numel() for shape in sizes)


def _quantisable(network: nn.Module, new: Sequence[str]) -> dict[str, nn.Module]:
    """The layers to be kept in four bits: each dense one that was trained, but for the head.

    Raises:
        InputError: If there is none.
    """
    shared = _users(network)
    found = {
        name: layer
        for name, layer in network.named_modules()
        if _plain(layer) is nn.Linear
        and not name.startswith((HEAD, *new))
        and ADAPTERS not in name.split(".")
        and (quantised(layer) or len(shared[id(layer._parameters["weight"])]) == 1)
    }
    if not found:
        raise InputError(
            "adapter.bits: got 4, but the network has no dense layer to keep in four bits; leave "
            "it out"
        )
    return {name: layer for name, layer in found.items() if quantised(layer) is None}


def _users(network: nn.Module) -> dict[int, list[str]]:
    """The modules that have a parameter, by its id."""
    users: dict[int, list[str]] = {}
    for name, module in network.named_modules():
        for weight in module.parameters(recurse=False):
            users.setdefault(id(weight), []).append(name)
    return users


def _also(network: nn.Module, patterns: Sequence[str]) -> set[str]:
    """The weights of layers that move whole."""
    modules = dict(network.named_modules())
    meant = matching(
        [name for name in modules if name and ADAPTERS not in name.split(".")],
        patterns,
        place="adapter.also",
        what="layer",
    )
    found = {
        f"{name}.{own}"
        for name in meant
        for own, _ in modules[name].named_parameters()
        if ADAPTERS not in own.split(".")
    }
    if patterns and not found:
        raise InputError(f"adapter.also: {', '.join(patterns)} have no weights; leave them out")
    return found


def _must_be_new(network: nn.Module, name: str) -> None:
    if name in names(network):
        raise InputError(
            f"adapter.name: the network has an adapter called {name} already; give another name"
        )


def _must_exist(network: nn.Module, name: str | None) -> None:
    if name is not None and name not in names(network):
        raise InputError(f"no adapter is called {name}{nearest(name, names(network))}")


def _must_fit(network: nn.Module, found: dict[str, nn.Module], spec: LoraSpec) -> None:
    users = _users(network)
    for name, layer in found.items():
        for own in weight_names(layer):
            weight = layer._parameters[own]  # none where it is in four bits, its own alone
            shared = [user for user in users.get(id(weight), ()) if user != name]
            if shared:
                raise InputError(
                    f"adapter.targets: the weights of {name} are those of {shared[0]} too, which "
                    "would not see the adapter; leave it out of the targets"
                )
        if isinstance(layer, RECURRENT) and spec.dropout:
            raise InputError(
                f"adapter.dropout: got {spec.dropout}, but {name} is a recurrent layer, whose "
                "adapter reads nothing by itself that could be left out; leave dropout out, or "
                "that layer out of the targets"
            )


def _cannot(pattern: str, layer: nn.Module, adaptable: Sequence[str]) -> InputError:
    kinds = ", ".join(sorted({kind.__name__ for kind in ADAPTED}))
    short = sorted({name.rpartition(".")[2] for name in adaptable})
    return InputError(
        f'adapter.targets: "{pattern}" is a {type(layer).__name__}, which can have no adapter; '
        f"wanted one of {kinds}: {', '.join(short) or 'there is none'}"
    )
