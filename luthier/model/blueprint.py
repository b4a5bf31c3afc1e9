"""From layers on a page to a network: built on the meta device, with every shape measured.

Dimension key, for the whole file:
    B  batch
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from luthier.errors import InputError, ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks import Block
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec
from luthier.model.measure import measure
from luthier.signal import Signal
from luthier.spec import Auto, Many, Spec

Head = Sequence[BlockSpec] | Callable[[Signal], Sequence[BlockSpec]]

MOST_BLOCKS = 10_000
"""More than any network has; a bound for recipes whose repeats multiply."""


class LayersSpec(Spec):
    """A network as a list of layers, from a blank page."""

    layers: Many[Block]
    """The layers, in order. The output layer comes from the task and the data; see `head`."""
    head: Auto | Literal["none"] = "auto"
    """auto adds the output layer that the task needs; none takes the last of `layers` as it."""
    initialize: InitializeSpec = Field(default_factory=InitializeSpec)
    """The weights before the first step."""

    @field_validator("layers")
    @classmethod
    def _bounded(cls, layers: tuple[Block, ...]) -> tuple[Block, ...]:
        if not layers:
            raise ValueError("got no layers; wanted at least one, such as {kind: flatten}")
        blocks = sum(layer.blocks() for layer in layers)
        if blocks > MOST_BLOCKS:
            raise ValueError(f"got {blocks:,} blocks, wanted at most {MOST_BLOCKS:,}")
        return layers


ModelSpec = LayersSpec
"""Everything that `model:` can be in a recipe."""


class Network(nn.Module):
    """Layers, and a head that makes of their output what a task's loss reads.

    Weight names are plain and stay: `layers.0.conv.weight`, `head.0.linear.bias`.

    Attributes:
        layers: A `Chain`; in a network `of` somebody's own module, that module.
        head: What the task adds; often one dense layer, sometimes nothing.
        reads: One sample of the input.
        gives: One sample of the output.
    """

    layers: nn.Module
    head: Chain

    def __init__(self, layers: nn.Module, head: Chain, reads: Signal) -> None:
        super().__init__()
        self.layers = layers
        self.head = head
        self.reads = reads
        self.gives = head.gives

    @classmethod
    def of(cls, module: nn.Module, reads: Signal) -> Network:
        """A network around somebody's own module, with the weights that it has.

        Args:
            module: Reads `(B, *reads.shape)`, gives a tensor whose first dimension is B. It is
                run once, on zeros, in evaluation mode.
            reads: One sample of the input.

        Raises:
            InputError: If it cannot run on `reads`, or gives anything else.

        Example:
            >>> Network.of(nn.Linear(64, 10), Signal.of((64,))).gives
            Signal(form='vector', shape=(10,))
        """
        modes = {part: part.training for part in module.modules()}
        tensors = (*module.parameters(), *module.buffers())
        device = tensors[0].device if tensors else torch.device("cpu")
        module.eval()
        try:
            gives = measure(module, reads, device)
        except ShapeError as error:
            raise InputError(f"the network {type(module).__name__} {error.message}") from None
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise InputError(
                f"the network {type(module).__name__} cannot read {reads}: {error}"
            ) from error
        finally:
            for part, mode in modes.items():
                part.training = mode
        return cls(module, Chain((), gives, "model.head"), reads)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, *reads.shape)` to `(B, *gives.shape)`."""
        y: Tensor = self.head(self.layers(x))
        return y


def build(spec: LayersSpec, reads: Signal, head: Head = ()) -> Network:
    """The network that `spec` describes, on the meta device: nothing is allocated or computed.

    Args:
        spec: The layers.
        reads: One sample of the input, as the data gives it.
        head: The blocks that the task adds, or a function that makes them for what the last layer
            gives. Not taken where the spec's `head` is none.

    Raises:
        ShapeError: If a layer cannot read what reaches it: its place, what was got and wanted,
            and the mend.

    Example:
        >>> from luthier.model.blocks.dense import DenseSpec
        >>> from luthier.model.blocks.flatten import FlattenSpec
        >>> spec = LayersSpec(layers=(FlattenSpec(), DenseSpec(width=32, activation="relu")))
        >>> network = build(spec, Signal.of((1, 8, 8)), head=(DenseSpec(width=10),))
        >>> [name for name, _ in network.named_parameters()][:2]
        ['layers.1.linear.weight', 'layers.1.linear.bias']
        >>> str(network.gives)
        'a vector (10)'
    """
    layers = Chain(spec.layers, reads, "model.layers")
    added: Sequence[BlockSpec] = ()
    if spec.head == "auto":
        added = head(layers.gives) if callable(head) else head
    return Network(layers, Chain(added, layers.gives, "model.head", spec.layers[-1].kind), reads)
