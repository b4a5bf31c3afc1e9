"""The optimizers, and their state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.errors import InputError
from luthier.training.adam import Adam, AdamSpec, AdamWSpec
from luthier.training.lion import Lion, LionSpec
from luthier.training.muon import Muon, MuonSpec
from luthier.training.sgd import Sgd, SgdSpec

__all__ = [
    "AdamSpec",
    "AdamWSpec",
    "LionSpec",
    "MuonSpec",
    "OptimizerSpec",
    "SgdSpec",
    "load_into",
    "skips_on_device",
    "state_tensors",
]

OptimizerSpec = Annotated[
    SgdSpec | AdamSpec | AdamWSpec | MuonSpec | LionSpec, Field(discriminator="kind")
]


def skips_on_device(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `found_inf`, a tensor, can tell the optimizer to leave everything as it is."""
    return isinstance(optimizer, Sgd | Adam | Muon | Lion)


def state_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state by name: `exp_avg/layers.0.conv.weight`.

    The tensors are the optimizer's own, not copies.
    """
    named: dict[Tensor, str] = {parameter: name for name, parameter in network.named_parameters()}
    return {
        f"{key}/{named[parameter]}": value
        for parameter, entries in optimizer.state.items()
        for key, value in entries.items()
    }


def load_into(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], what: str) -> None:
    """Copies `tensors` into those of the same names; the names and shapes must be the same.

    Into them, and not in their place: fused kernels walk memory, not indices, so a moment must
    lie as its weight does.

    Raises:
        InputError: If they are not; nothing is copied then.
    """
    for name in sorted(own.keys() | tensors.keys()):
        ours, theirs = own.get(name), tensors.get(name)
        if ours is None or theirs is None or ours.shape != theirs.shape:
            raise InputError(
                f"the checkpoint's {what} does not fit: it has {_shown(theirs)} for {name}, "
                f"wanted {_shown(ours)}; go on with the recipe that the run began with"
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _shown(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else f"a tensor {tuple(tensor.shape)}"
