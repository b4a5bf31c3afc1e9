"""Which weights move, told before anything does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from luthier.adapters.adapted import ADAPTERS, PLAIN, is_made, quantised, weight_shape
from luthier.adapters.bias import is_bias
from luthier.adapters.stages import stages

NEW = ("neck.", "head.")
"""What the names of weights begin with that a task adds."""


@dataclass(frozen=True, kw_only=True)
class Moves:
    """How much of a network trains."""

    trained: int
    """Weights that move, those of an adapter among them."""
    whole: int
    """Weights of the network itself, without adapters."""
    where: str
    """The layers, in words: `query, value in 30 layers`."""
    bytes: Mapping[str, int]
    """Memory of the weights, by part: `adapter`, `four_bits` and `others`."""
    in_four_bits: int = 0
    """Weights that are kept in four bits."""

    @property
    def share(self) -> float:
        """Trained ones by those of the network."""
        return self.trained / self.whole

    def sentence(self) -> str:
        """For people."""
        where = f": {self.where}" if self.where else ""
        found = (
            f"trains {amount(self.trained)} of {amount(self.whole)} weights "
            f"({_percent(self.share)}){where}"
        )
        if not self.in_four_bits:
            return found
        return (
            f"{found}; {amount(self.in_four_bits)} weights in four bits take "
            f"{_memory(self.bytes['four_bits'])}, whole {_memory(4 * self.in_four_bits)}"
        )

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "trained": self.trained,
            "whole": self.whole,
            "where": self.where,
            "bytes": dict(self.bytes),
            "in_four_bits": self.in_four_bits,
        }


def moves(network: nn.Module) -> Moves:
    """What of `network` trains now."""
    named = dict(network.named_parameters())
    trained = sum(weight.numel() for weight in named.values() if weight.requires_grad)
    sizes = {"adapter": 0, "four_bits": 0, "others": 0}
    for name, weight in named.items():
        part = "adapter" if is_added(name) else "four_bits" if is_made(name) else "others"
        sizes[part] += weight.numel() * weight.element_size()
    return Moves(
        trained=trained,
        whole=own_weights(network),
        where=_where(network),
        bytes=sizes,
        in_four_bits=_in_four_bits(network),
    )


def own_weights(network: nn.Module) -> int:
    """How many weights a network has without adapters, however they are kept."""
    whole = sum(w.numel() for name, w in network.named_parameters() if not is_made(name))
    return whole + _in_four_bits(network)


def _in_four_bits(network: nn.Module) -> int:
    layers = [layer for layer in network.modules() if type(layer) in PLAIN and quantised(layer)]
    return sum(weight_shape(layer).numel() for layer in layers)


def is_added(name: str) -> bool:
    """Whether a weight of that name belongs to an adapter, and not to the network itself."""
    return ADAPTERS in name.split(".")


def amount(count: int) -> str:
    """A number of weights for people.

    Example:
        >>> amount(950), amount(1_234_567), amount(134_515_008)
        ('950', '1.2 M', '135 M')
    """
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            scaled = count / size
            return f"{scaled:.0f} {unit}" if scaled >= 100 else f"{scaled:.1f} {unit}"
    return str(count)


def _memory(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**10:,.0f} KiB"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _where(network: nn.Module) -> str:
    """`query, value in 30 layers; head whole`, or `the last 4 of 12 layers`."""
    own = {n for n, w in network.named_parameters() if w.requires_grad and not is_added(n)}
    if own == {name for name, _ in network.named_parameters()}:
        return ""
    low, old = _adapted(network), {name for name in own if not name.startswith(NEW)}
    parts = [_listed(low)] if low else []
    if low:
        parts += [f"{name} whole" for name in sorted({name.partition(".")[0] for name in old})]
    elif old and all(is_bias(name) for name in old):
        parts.append(_numbered("biases", len({name.rpartition(".")[0] for name in old})))
    elif old:
        parts.append(_of_stages(network, old))
    tops = sorted({name.partition(".")[0] for name in own - old})
    return "; ".join([*parts, *(f"{name} whole" for name in tops)])


def _of_stages(network: nn.Module, own: set[str]) -> str:
    """`the last 4 of 12 layers`."""
    found = [set(stage) for stage in stages(network, NEW)]
    moving = [number for number, stage in enumerate(found) if stage & own]
    count = str(len(moving))
    if moving == list(range(moving[0], len(found))) and moving[0]:
        count = f"the last {count}" if len(moving) > 1 else "the last"
    return f"{count} of {len(found)} layers"


def _adapted(network: nn.Module) -> Counter[str]:
    """How many layers of each name have an adapter that moves."""
    found: Counter[str] = Counter()
    for name, module in network.named_modules():
        if type(module) in PLAIN and any(
            weight.requires_grad for weight in module.get_submodule(ADAPTERS).parameters()
        ):
            found[name.rpartition(".")[2]] += 1
    return found


def _listed(counts: Counter[str]) -> str:
    """Layers of the same number named together."""
    by_count: dict[int, list[str]] = {}
    for name, count in counts.items():
        by_count.setdefault(count, []).append(name)
    return "; ".join(
        _numbered(", ".join(sorted(names)), count)
        for count, names in sorted(by_count.items(), reverse=True)
    )


def _numbered(what: str, count: int) -> str:
    return f"{what} in {count} layer{'s' if count > 1 else ''}"
