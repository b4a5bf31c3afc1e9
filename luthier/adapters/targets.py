"""Which layers an adapter goes to, and which it may not go to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from luthier.adapters.adapted import (
    ADAPTED,
    ADAPTERS,
    PLAIN,
    RECURRENT,
    quantised,
    weight_names,
    weight_shape,
)
from luthier.adapters.lora import LoraSpec
from luthier.adapters.matching import matches, matching
from luthier.errors import InputError

HEAD = "head."
"""What the names of a network's head begin with: auto leaves it alone."""


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


def quantisable(network: nn.Module, new: Sequence[str]) -> dict[str, nn.Module]:
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


def also_whole(network: nn.Module, patterns: Sequence[str]) -> set[str]:
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


def _suits(layer: nn.Module, rank: int) -> bool:
    """Whether auto takes a layer."""
    if _plain(layer) not in ADAPTED or isinstance(layer, nn.Embedding):
        return False
    sizes = [weight_shape(layer, own) for own in weight_names(layer)]
    return all(rank * (shape[0] + shape[1:].numel()) < shape.numel() for shape in sizes)


def _plain(layer: nn.Module) -> type[nn.Module]:
    return PLAIN.get(type(layer), type(layer))


def _users(network: nn.Module) -> dict[int, list[str]]:
    """The modules that have a parameter, by its id."""
    users: dict[int, list[str]] = {}
    for name, module in network.named_modules():
        for weight in module.parameters(recurse=False):
            users.setdefault(id(weight), []).append(name)
    return users


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
