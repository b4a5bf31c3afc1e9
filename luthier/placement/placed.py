"""A network where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A finished network on its device, with what was rearranged to make it fast there.

    A placement may keep a weight's columns in another order than the network's own (canonical)
    one. What leaves the machine is canonical: checkpoints, averages, exports.
    """

    network: nn.Module
    device: torch.device
    precision: torch.dtype = torch.float32
    """The type of the arithmetic; weights stay float32."""
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    """Weight name → for each stored column, the canonical column that it holds. `(columns,)`."""
    rounded: frozenset[str] = frozenset()
    """The names of weights that do not move, and are kept in the type of the arithmetic."""

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which a forward pass runs."""
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.precision)

    def to_canonical(self, name: str, tensor: Tensor) -> Tensor:
        """`tensor`, shaped like the weight `name`, in the network's own column order."""
        columns = self.columns.get(name)
        if columns is None or tensor.ndim < 2:
            return tensor
        canonical = torch.empty_like(tensor)
        canonical[:, columns.to(tensor.device)] = tensor
        return canonical

    def from_canonical(self, name: str, tensor: Tensor) -> Tensor:
        """The inverse of `to_canonical`."""
        columns = self.columns.get(name)
        if columns is None or tensor.ndim < 2:
            return tensor
        return tensor[:, columns.to(tensor.device)]
