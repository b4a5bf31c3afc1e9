"""From a finished network to one that runs fast on this machine."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.errors import InputError
from luthier.placement.compiling import compile_for_training, must_have_compiler
from luthier.placement.device import DTYPES, DeviceName, Precision, best_device, device_of, has_bf16
from luthier.placement.onednn import opaque_start
from luthier.placement.placed import Placed
from luthier.placement.recompute import recompute_blocks
from luthier.placement.rewrite import flatten_in_memory_order, pool_first
from luthier.placement.rounding import round_still
from luthier.spec import Auto, Decision, Spec

Threads = Annotated[int, Field(ge=1, le=4096)]


class PlacementSpec(Spec):
    """Where a network runs, and in which precision."""

    device: DeviceName | Auto = "auto"
    """cpu, cuda or mps (Apple's GPU); auto takes the fastest that is there."""
    precision: Precision | Auto = "auto"
    """fp32, or bf16 for the products with float32 weights (autocast); auto takes bf16 where the
    device multiplies in it natively."""
    layout: Literal["channels_first", "channels_last"] | Auto = "auto"
    """The order of an image in memory; auto is channels_last, the faster one for convolutions."""
    compile: bool = False
    """Whether torch.compile rewrites the layers for training: half a minute at the start, then up
    to 1.2 times as fast where layers repeat, and slower for small convolutional networks. Batches
    whose rows hold several texts, or padding, run as without."""
    recompute: Literal["none", "blocks"] = "none"
    """blocks has each copy of a repeat keep its input alone for the backward pass, and compute the
    rest again then: a fraction of the memory of activations, for up to a third more computation;
    `luthier design` tells how much. The result is the same."""
    threads: Threads | Auto = Field(default="auto", union_mode="left_to_right")
    """CPU threads of one operation; auto is the number of cores that this process may use."""


def decide(spec: PlacementSpec) -> tuple[Decision, ...]:
    """A value for each `auto` of `spec`, on this machine."""
    decisions: list[Decision] = []
    device = spec.device
    if device == "auto":
        device = best_device()
        reason = "the only device here" if device == "cpu" else "the fastest device here"
        decisions.append(Decision(place="placement.device", value=device, reason=reason))
    if spec.precision == "auto":
        native = has_bf16(device)
        reason = (
            f"this {device} {'multiplies' if native else 'does not multiply'} in bfloat16 natively"
        )
        value = "bf16" if native else "fp32"
        decisions.append(Decision(place="placement.precision", value=value, reason=reason))
    if spec.layout == "auto":
        reason = "convolutions run faster on it"
        decisions.append(Decision(place="placement.layout", value="channels_last", reason=reason))
    if spec.threads == "auto":
        threads = torch.get_num_threads()
        reason = "what torch takes on this machine"
        decisions.append(Decision(place="placement.threads", value=threads, reason=reason))
    return tuple(decisions)


def place(network: nn.Module, spec: PlacementSpec, still: Collection[str] = frozenset()) -> Placed:
    """`network`, moved and rearranged in place to run fast. It computes the same function.

    Args:
        network: A finished network with its weights, in their canonical order.
        spec: With no `auto` left; see `decide`.
        still: The names of weights that do not move, and are kept elsewhere: in bf16, those of
            dense layers are rounded once.

    Raises:
        InputError: If the device is not there, or cannot do the precision, or there is nothing to
            compute again.
    """
    assert spec.device != "auto"
    assert spec.precision != "auto"
    assert spec.layout != "auto"
    assert spec.threads != "auto"
    device = device_of(spec.device)
    if spec.precision == "bf16" and spec.device == "mps":
        raise InputError(
            'placement.precision: got "bf16", which luthier does not use on mps; wanted fp32'
        )
    if spec.device == "cpu":
        torch.set_num_threads(spec.threads)
    columns: dict[str, Tensor] = {}
    network.to(device)
    pool_first(network)
    if spec.layout == "channels_last" and not _blocked(network, spec):
        columns = flatten_in_memory_order(network)
        _channels_last(network)
    if spec.compile:
        must_have_compiler(spec.device)
        compile_for_training(network)
    if spec.recompute == "blocks":
        recompute_blocks(network)
    precision, rounded = DTYPES[spec.precision], frozenset[str]()
    if precision != torch.float32:
        rounded = round_still(network, set(still) - columns.keys(), precision)
    return Placed(
        network=network, device=device, precision=precision, columns=columns, rounded=rounded
    )


def _blocked(network: nn.Module, spec: PlacementSpec) -> bool:
    """Puts a network that starts with convolutions and pools into oneDNN's own layout, if it can.

    That layout has the channels last too, in blocks.
    """
    return spec.device == "cpu" and not spec.compile and opaque_start(network) > 0


def _channels_last(network: nn.Module) -> None:
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
