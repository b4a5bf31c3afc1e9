"""The blocks of a network in a row, whatever repeats hold them, and back into repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.errors import InputError
from luthier.model.block import BlockSpec
from luthier.model.blocks.repeat import RepeatSpec
from luthier.model.blueprint import Network
from luthier.model.chain import Chain
from luthier.model.families.family import Block, repeated


@dataclass(frozen=True)
class Named:
    """A block, and what the names of its weights begin with: `layers.1.copies.0.0`."""

    name: str
    spec: BlockSpec


@dataclass(frozen=True)
class Row:
    """The blocks of a network, one after the other, with no repeats among them."""

    layers: tuple[Named, ...]
    neck: tuple[Named, ...]
    head: tuple[Named, ...]
    encoder: tuple[Named, ...] = ()
    """Of a network that has one, whose layers are then the decoder's."""
    places: int = 0
    """The most positions that the encoder gives."""

    @classmethod
    def of(cls, network: Network) -> Row:
        """Those of a network.

        Raises:
            InputError: If its layers are somebody's own module.
        """
        if not isinstance(network.layers, Chain):
            raise InputError(
                f"the network is a {type(network.layers).__name__} of your own code, which has no "
                "layers that could be written in another format"
            )
        chains = {"layers": network.layers, "neck": network.neck, "head": network.head}
        if network.encoder is not None:
            chains["encoder"] = network.encoder
        blocks = {
            name: tuple(_in_a_row([step.spec for step in chain.steps], name))
            for name, chain in chains.items()
        }
        return cls(
            **blocks, places=0 if network.encoder is None else network.encoder.gives.shape[0]
        )


def _in_a_row(specs: Sequence[BlockSpec], prefix: str) -> Iterator[Named]:
    for number, spec in enumerate(specs):
        name = f"{prefix}.{number}"
        if not isinstance(spec, RepeatSpec):
            yield Named(name, spec)
            continue
        for copy in range(spec.times):
            layers = spec.layers if copy else spec.first_layers()
            yield from _in_a_row(layers, f"{name}.copies.{copy}")


def folded(layers: Sequence[list[Block]]) -> list[Block]:
    """Layers, some blocks each, with those that repeat in a repeat.

    Args:
        layers: As a recipe writes them.

    Example:
        >>> local, whole = [{"kind": "mlp", "width": 8}], [{"kind": "mlp", "width": 9}]
        >>> folded([local, local, whole, local, local, whole])
        [{'kind': 'repeat', 'times': 2, 'layers': [{'kind': 'repeat', 'times': 2, \
'layers': [{'kind': 'mlp', 'width': 8}]}, {'kind': 'mlp', 'width': 9}]}]
    """
    count = len(layers)
    for period in range(1, count // 2 + 1):
        if all(layers[number] == layers[number % period] for number in range(count)):
            times = count // period
            pattern = _stretches(layers[:period])
            return [*repeated(times, pattern), *_stretches(layers[times * period :])]
    return _stretches(layers)


def _stretches(layers: Sequence[list[Block]]) -> list[Block]:
    """Each stretch of equal layers in a repeat."""
    found: list[Any] = []
    start = 0
    for number in range(1, len(layers) + 1):
        if number == len(layers) or layers[number] != layers[start]:
            found += repeated(number - start, layers[start])
            start = number
    return found
