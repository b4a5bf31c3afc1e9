"""What learns: a network where it runs, what moves its weights, and their average."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.adapters.attach import merged
from luthier.errors import InputError
from luthier.placement.placed import Placed
from luthier.placement.rounding import put_back
from luthier.training.average import Average
from luthier.training.optimizer import load_into, state_tensors
from luthier.training.thaw import Thaw

NamedTensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Learner:
    """All tensors that training changes. They change in place."""

    placed: Placed
    optimizer: torch.optim.Optimizer
    """Of the placed network's own parameters, made after it was placed."""
    average: Average | None = None
    thaw: Thaw | None = None
    """What lets more of the weights move, later."""
    whole: Callable[[], NamedTensors] | None = None
    """Gives the weights that never move as the start has them: the placement may have rounded
    them."""
    still: frozenset[str] = frozenset()
    """The names of the network's weights that never move, since an adapter moves in their place: a
    checkpoint leaves them out."""

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds: `weights` that move, `optimizer` and, where there is one,
        `average`.

        In canonical order. Not copies, where nothing had to be reordered.
        """
        return {
            key: {name: self._to_canonical(name, tensor) for name, tensor in own.items()}
            for key, own in self._own().items()
        }

    def load(self, tensors: Mapping[str, NamedTensors]) -> None:
        """Puts back what `tensors` gave.

        Raises:
            InputError: If it belongs to another network, optimizer or setting of the average.
        """
        own = self._own()
        if tensors.keys() != own.keys():
            raise InputError(
                f"the checkpoint holds {', '.join(sorted(tensors))}; wanted "
                f"{', '.join(sorted(own))}; go on with the recipe that the run began with"
            )
        for key, named in tensors.items():
            placed = {name: self._from_canonical(name, tensor) for name, tensor in named.items()}
            load_into(own[key], placed, key)

    def make_whole(self) -> None:
        """Gives the network the weights that the placement has rounded as they were, for good.

        Raises:
            RunError: If the start is no longer what it was.
        """
        if self.placed.rounded:
            assert self.whole is not None, "weights were rounded that are nowhere whole"
            put_back(self.placed.network, self.placed.rounded, self.whole())

    def finished(self) -> dict[str, Tensor]:
        """The weights to use, all of them and in canonical order: the averages where there are
        any, and with what an adapter adds to them. After `make_whole`."""
        with self.finishing():
            found = merged(self.placed.network)
            if self.average is not None:
                found = {name: tensor.clone() for name, tensor in found.items()}
        return {name: self._to_canonical(name, tensor) for name, tensor in found.items()}

    def finishing(self) -> AbstractContextManager[None]:
        """The network has the weights to use, while inside."""
        return nullcontext() if self.average is None else self.average.in_place()

    def is_finite(self) -> bool:
        """Whether every weight that moves is a number. Waits for the device."""
        named = self.placed.network.named_parameters()
        weights = [weight.detach() for name, weight in named if name not in self.still]
        return bool(torch.stack([torch.isfinite(weight).all() for weight in weights]).all())

    def _own(self) -> dict[str, dict[str, Tensor]]:
        network = self.placed.network
        own = {
            "weights": {n: t for n, t in network.state_dict().items() if n not in self.still},
            "optimizer": state_tensors(self.optimizer, network),
        }
        if self.average is not None:
            own["average"] = self.average.tensors
        return own

    def _to_canonical(self, name: str, tensor: Tensor) -> Tensor:
        return self.placed.to_canonical(_weight(name), tensor)

    def _from_canonical(self, name: str, tensor: Tensor) -> Tensor:
        return self.placed.from_canonical(_weight(name), tensor)


def _weight(name: str) -> str:
    """The weight that a tensor belongs to: `exp_avg/layers.0.conv.weight` is a moment of one."""
    return name.rpartition("/")[2]
