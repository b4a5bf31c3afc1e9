"""What a network costs: parameters, FLOPs and memory of each block, measured on a run.

Nothing is derived: the network runs once on the meta device, which computes shapes only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from luthier.adapters.moving import own_weights
from luthier.model.blocks.decompose import Decompose
from luthier.model.blocks.each_channel import EachChannel
from luthier.model.blocks.parallel import Parallel
from luthier.model.blocks.repeat import Repeat
from luthier.model.blocks.residual import Pad, Residual
from luthier.model.blocks.reversible_norm import ReversibleNorm
from luthier.model.blueprint import Network
from luthier.model.chain import Chain
from luthier.model.measure import ROWS, sample
from luthier.signal import Signal


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a block costs, with all that is inside of it."""

    place: str
    """Where it stands in the recipe: `model.layers[3]`."""
    name: str
    """Its kind."""
    module: str
    """What its weights' names begin with: `layers.3`."""
    depth: int
    """How many blocks it is inside of; the rows of depth 0 sum up to the total."""
    gives: Signal
    parameters: int
    """Without those of an adapter."""
    trained: int
    """Parameters that move; those of an adapter among them."""
    flops: int
    """Of a forward pass of the whole batch. A multiply-add is two; other operations are none."""
    activation_bytes: int
    """What the backward pass needs of the forward pass of the whole batch, in float32. A tensor
    that several blocks need belongs to the first of them."""

    def to_json(self) -> dict[str, Any]:
        """As `luthier design --json` prints it."""
        return {
            "place": self.place,
            "name": self.name,
            "module": self.module,
            "depth": self.depth,
            "gives": {"form": self.gives.form, "shape": list(self.gives.shape)},
            "parameters": self.parameters,
            "trained": self.trained,
            "flops": self.flops,
            "activation_bytes": self.activation_bytes,
        }


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a network costs, block by block."""

    batch: int
    """Samples that `flops` and `activation_bytes` are of."""
    rows: tuple[Row, ...]
    """In the order of the network, each block before those inside of it."""
    total: Row
    """The whole network."""

    def to_json(self) -> dict[str, Any]:
        """As `luthier design --json` prints it."""
        return {
            "batch": self.batch,
            "parameters": {"total": self.total.parameters, "trained": self.total.trained},
            "rows": [row.to_json() for row in self.rows],
            "total": self.total.to_json(),
        }


@dataclass
class _Entry:
    """A module that gets a row, and what is measured of it."""

    place: str
    name: str
    module: str
    depth: int
    gives: Signal
    block: nn.Module
    flops: int = 0
    saved_bytes: int = 0

    def row(self, batch: int, rows: int) -> Row:
        """The row, from a run of `rows` samples."""
        return Row(
            place=self.place,
            name=self.name,
            module=self.module,
            depth=self.depth,
            gives=self.gives,
            parameters=own_weights(self.block),
            trained=sum(p.numel() for p in self.block.parameters() if p.requires_grad),
            flops=self.flops * batch // rows,
            activation_bytes=self.saved_bytes * batch // rows,
        )


def count(network: Network, batch: int = 1) -> Counts:
    """What each block of `network` costs in a training step of `batch` samples.

    A network of our blocks runs on the meta device, wherever its weights are; somebody's own
    module runs where it is, on zeros, since it may make tensors of its own.

    Args:
        network: Any network; it is not changed.
        batch: Samples. Batch norm cannot train on one: the figures of one are half of those of
            two.

    Example:
        >>> from luthier.model.blocks.dense import DenseSpec
        >>> from luthier.model.blueprint import LayersSpec, build
        >>> spec = LayersSpec(layers=(DenseSpec(width=32),), head="none")
        >>> total = count(build(spec, Signal.of((64,)))).total
        >>> total.parameters, total.flops
        (2080, 4096)
    """
    whole = _Entry("model", "network", "", 0, network.gives, network)
    entries = list(_entries(network))
    rows = max(batch, ROWS)
    _run(network, [whole, *entries], rows)
    return Counts(
        batch=batch,
        rows=tuple(entry.row(batch, rows) for entry in entries),
        total=whole.row(batch, rows),
    )


def _entries(network: Network) -> Iterator[_Entry]:
    if network.encoder is not None:
        yield from _of_chain(network.encoder, "", "encoder", 0)
    if isinstance(network.layers, Chain):
        yield from _of_chain(network.layers, "", "layers", 0)
    else:
        name = type(network.layers).__name__
        yield _Entry("model", name, "layers", 0, network.neck.reads, network.layers)
    yield from _of_chain(network.neck, "", "neck", 0)
    yield from _of_chain(network.head, "", "head", 0)


def _of_chain(chain: Chain, inside: str, module: str, depth: int) -> Iterator[_Entry]:
    for index, (step, block) in enumerate(zip(chain.steps, chain, strict=True)):
        place, name = inside + step.place, f"{module}.{index}"
        yield _Entry(place, step.spec.kind, name, depth, step.gives, block)
        yield from _of_inner(block, place, name, depth + 1)


def _of_inner(block: nn.Module, place: str, module: str, depth: int) -> Iterator[_Entry]:
    """The blocks inside of a block."""
    match block:
        case Residual():
            yield from _of_chain(block.layers, f"{place}.", f"{module}.layers", depth)
            if not isinstance(block.shortcut, nn.Identity):
                name = "pad" if isinstance(block.shortcut, Pad) else "projection"
                gives, inner = block.layers.gives, f"{module}.shortcut"
                yield _Entry(f"{place}.shortcut", name, inner, depth, gives, block.shortcut)
        case Repeat():
            for index, copy in enumerate(block.chains()):
                inside = f"{place}.copies[{index}]."
                yield from _of_chain(copy, inside, f"{module}.copies.{index}", depth)
        case EachChannel() | ReversibleNorm():
            yield from _of_chain(block.layers, f"{place}.", f"{module}.layers", depth)
        case Decompose():
            yield from _of_chain(block.trend, f"{place}.", f"{module}.trend", depth)
            yield from _of_chain(block.season, f"{place}.", f"{module}.season", depth)
        case Parallel():
            for index, branch in enumerate(block.chains()):
                yield from _of_chain(branch, f"{place}.", f"{module}.branches.{index}", depth)


def _run(network: Network, entries: list[_Entry], rows: int) -> None:
    """One forward pass in training mode, which fills in what the entries measure."""
    own = not isinstance(network.layers, Chain)
    tensors: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        kept = parameter if own else torch.empty_like(parameter, device="meta")
        tensors[name] = kept if own else kept.requires_grad_(parameter.requires_grad)
    for name, buffer in network.named_buffers():
        tensors[name] = buffer.clone() if own else torch.empty_like(buffer, device="meta")
    first = next((t for t in tensors.values() if t.is_floating_point()), torch.empty(0))
    device = first.device if own else torch.device("meta")
    x: tuple[Any, ...] = (sample(network.reads, rows, device, first.dtype),)
    if network.writes is not None:
        x = (sample(network.writes, rows, device, first.dtype), None, *x)
    recorder = _Recorder(known={_storage(tensor) for tensor in tensors.values()})
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        stack.enter_context(_training(network))
        recorder.flops = stack.enter_context(FlopCounterMode(display=False))
        for entry in entries:
            recorder.watch(entry, stack)
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(recorder.save, recorder.give))
        torch.func.functional_call(network, tensors, x)


@dataclass
class _Recorder:
    """What happens during a forward pass, block by block."""

    known: set[int]
    """Storages that are counted already, or are weights."""
    flops: FlopCounterMode = field(init=False)
    open: list[_Entry] = field(default_factory=list)
    """The blocks that run now, the outermost first."""
    kept: list[Tensor] = field(default_factory=list)
    """Holds what was saved, so that no storage's number is given a second time."""

    def watch(self, entry: _Entry, stack: contextlib.ExitStack) -> None:
        """Measures `entry` until `stack` closes."""

        def begin(_block: nn.Module, _inputs: object) -> None:
            entry.flops -= self.flops.get_total_flops()
            self.open.append(entry)

        def end(_block: nn.Module, _inputs: object, _output: object) -> None:
            entry.flops += self.flops.get_total_flops()
            assert self.open.pop() is entry

        stack.callback(entry.block.register_forward_pre_hook(begin).remove)
        stack.callback(entry.block.register_forward_hook(end).remove)

    def save(self, tensor: Tensor) -> Tensor:
        """Counts a tensor that autograd keeps for the backward pass."""
        storage = _storage(tensor)
        if storage not in self.known:
            self.known.add(storage)
            self.kept.append(tensor)
            for entry in self.open:
                entry.saved_bytes += tensor.untyped_storage().nbytes()
        return tensor

    def give(self, tensor: Tensor) -> Tensor:
        """The tensor, as it was."""
        return tensor


def _storage(tensor: Tensor) -> int:
    """The number of the memory behind a tensor; on the meta device there are no addresses."""
    return int(tensor.untyped_storage()._cdata)


@contextlib.contextmanager
def _training(network: nn.Module) -> Iterator[None]:
    """Every part in training mode for a while."""
    modes = {part: part.training for part in network.modules()}
    network.train()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode
