"""Which layers of ours an adapter of theirs is beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from luthier.adapters.adapted import ADAPTED, ADAPTERS, PLAIN, weight_names
from luthier.interop.huggingface.correspondence import SAME, Fused, Match, Transposed
from luthier.model.blocks.unembed import Unembed

WEIGHT = "weight"
_SUFFIX = f".{WEIGHT}"


@dataclass(frozen=True)
class Place:
    """A layer of theirs.

    Attributes:
        theirs: Its name: `model.layers.0.self_attn.q_proj`.
        ours: What it is with us: a layer and one of its weights. Several where theirs holds them
            below one another, as the queries, keys and values of GPT-2.
    """

    theirs: str
    ours: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Names:
    """The names of a network of another library.

    Attributes:
        matches: Whose tensor is whose; None where theirs is our network, with our names.
        tied: Of tensors that are kept once, the second name and the first.
    """

    matches: Sequence[Match] | None = None
    tied: Mapping[str, str] | None = None

    def places(self, network: nn.Module) -> list[Place]:
        """Every layer of the network that can have an adapter, as a part of one of theirs."""
        own = {
            name: layer
            for name, layer in network.named_modules()
            if PLAIN.get(type(layer), type(layer)) in ADAPTED and ADAPTERS not in name.split(".")
        }
        if self.matches is None:
            return [
                Place(name if weight == WEIGHT else f"{name}.{weight}", ((name, weight),))
                for name, layer in own.items()
                for weight in weight_names(layer)
            ]
        return [
            Place(
                match.theirs.removesuffix(_SUFFIX),
                tuple((name.removesuffix(_SUFFIX), WEIGHT) for name in match.ours),
            )
            for match in self.matches
            if match.theirs.endswith(_SUFFIX)
            and (match.way == SAME or isinstance(match.way, Fused | Transposed))
            and all(name.removesuffix(_SUFFIX) in own for name in match.ours)
        ]

    def second(self, theirs: str) -> str | None:
        """The layer of theirs that has the same weights as `theirs`, its table on the side."""
        for copy, original in (self.tied or {}).items():
            if original == f"{theirs}{_SUFFIX}":
                return copy.removesuffix(_SUFFIX)
        return None


OWN = Names()
"""Our own names, for PEFT around a network of ours, and for ourselves."""


def head_is_tied(network: nn.Module) -> bool:
    """Whether the scores of tokens are made with the table of the tokens."""
    return any(isinstance(m, Unembed) and m.spec.tied for m in network.modules())
