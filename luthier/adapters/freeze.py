"""Weights that stay: whole layers or by name, for good or for a while, or that move less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from luthier.adapters.matching import matching
from luthier.adapters.stages import stages
from luthier.errors import InputError
from luthier.spec import Many, Spec

PLACE = "adapter"


class FreezeSpec(Spec):
    """Some weights stay as they are, or move less than others."""

    kind: Literal["freeze"] = "freeze"
    first: Annotated[int, Field(ge=1)] | Literal["all"] | None = Field(
        default=None, union_mode="left_to_right"
    )
    """How many layers stay, counted from the input: the table of tokens is one, each copy of a
    repeat is one, a norm belongs to what comes before it. all: only what is new moves."""
    names: Many[str] = ()
    """Layers or weights that stay too, by name or pattern: `[table, "*norm*"]`."""
    but: Many[str] = ()
    """Layers or weights that move all the same."""
    thaw_every_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps after which one more of the first layers moves, the last of them first; none leaves
    them."""
    thaw_every_epochs: Annotated[float, Field(gt=0)] | None = None
    """The same in epochs."""
    depth_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """What the learning rate of each layer is multiplied by, once for each layer that comes after
    it: with 0.8 the layer before the last learns at 0.8, the one before it at 0.64. What is new
    counts as a layer."""

    @model_validator(mode="after")
    def _all_is_used(self) -> Self:
        if self.first is None and not self.names and self.depth_decay == 1:
            raise ValueError("nothing stays; give first, names or depth_decay, or leave it out")
        if self.thaws and self.first is None:
            raise ValueError("thaw_every… frees the first layers, of which none stays; give first")
        if self.thaw_every_steps and self.thaw_every_epochs:
            raise ValueError("got thaw_every_steps and thaw_every_epochs; leave one out")
        if self.but and self.first is None and not self.names:
            raise ValueError("but is of what stays, and nothing does; give first or names")
        return self

    @property
    def thaws(self) -> bool:
        """Whether what stays at first moves later."""
        return self.thaw_every_steps is not None or self.thaw_every_epochs is not None


def freeze(network: nn.Module, spec: FreezeSpec, new: Sequence[str] = ()) -> None:
    """Lets only what ever moves have gradients; see `thaw` for what moves later.

    Raises:
        InputError: If a name is not there, there are fewer layers, or nothing would move.
    """
    found = stages(network, new)
    held = set() if spec.thaws else set().union(*found[: _count(found, spec)])
    held |= _meant(network, spec.names, "names", new)
    free = _meant(network, spec.but, "but", new)
    named = dict(network.named_parameters())
    if not named.keys() - (held - free):
        raise InputError(
            f"{PLACE}: all weights stay, and nothing is new; let some move with {PLACE}.but, or "
            "with a smaller first"
        )
    for name, weight in named.items():
        weight.requires_grad_(name not in held or name in free)


def thawing(
    network: nn.Module, spec: FreezeSpec, new: Sequence[str] = ()
) -> list[list[nn.Parameter]]:
    """The weights of the layers that stay at first, in the order in which they are freed."""
    found = stages(network, new)
    kept = _meant(network, spec.names, "names", new) | _meant(network, spec.but, "but", new)
    named = dict(network.named_parameters())
    held = found[: _count(found, spec)]
    return [[named[name] for name in stage if name not in kept] for stage in reversed(held)]


def rates(
    network: nn.Module, spec: FreezeSpec, new: Sequence[str] = ()
) -> Mapping[nn.Parameter, float]:
    """What the learning rate of each weight is multiplied by; those at 1 are left out.

    Source:
        Clark et al. 2020 (ELECTRA), appendix A, 2003.10555: layers from the input on.
    """
    found, named = stages(network, new), dict(network.named_parameters())
    is_new = any(name.startswith(tuple(new)) for name in named)
    top = len(found) if is_new else len(found) - 1
    return {
        named[name]: spec.depth_decay ** (top - depth)
        for depth, stage in enumerate(found)
        for name in stage
        if spec.depth_decay != 1 and top != depth
    }


def _count(found: Sequence[Sequence[str]], spec: FreezeSpec) -> int:
    """How many layers stay at first."""
    if spec.first == "all":
        return len(found)
    if (spec.first or 0) > len(found):
        raise InputError(
            f"{PLACE}.first: got {spec.first}, but the network has {len(found)} layers; wanted at "
            "most as many, or all"
        )
    return spec.first or 0


def _meant(network: nn.Module, patterns: Sequence[str], key: str, new: Sequence[str]) -> set[str]:
    """The weights that patterns of layers or of weights mean."""
    weights = [n for n, _ in network.named_parameters() if not n.startswith(tuple(new))]
    layers = {name.rpartition(".")[0] for name in weights}
    above = {name.rsplit(".", n)[0] for name in layers for n in range(name.count(".") + 1)}
    names = [name for name in (*above, *weights) if name]
    found = matching(names, patterns, place=f"{PLACE}.{key}", what="layer or weight")
    return {
        weight
        for weight in weights
        if any(weight == name or weight.startswith(f"{name}.") for name in found)
    }
