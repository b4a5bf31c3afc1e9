"""A step is taken or not: one with a loss or a gradient that is not finite changes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from luthier.training.learner import Learner
from luthier.training.optimizer import skips_on_device


class Guard:
    """Takes the steps of a learner, but for those that would spoil it.

    On the CPU the answer is at hand. A GPU computes behind its host, and to ask it in every step
    would make it wait; so there the optimizer is told to do nothing by a tensor.
    """

    def __init__(self, learner: Learner, *, ask: bool | None = None) -> None:
        """
        Args:
            learner: Whose steps.
            ask: Whether to wait for the answer in each step; none means wherever that is free,
                or the optimizer cannot be told otherwise.
        """
        on_gpu = learner.placed.device.type == "cuda"
        self.asks = not (on_gpu and skips_on_device(learner.optimizer)) if ask is None else ask
        self._learner = learner
        self._buffers = _Buffers(learner.placed.network.buffers())

    def begin(self) -> None:
        """Remembers what a forward pass changes: the running statistics of norms."""
        self._buffers.remember()

    def end(self, step: int, witness: Tensor) -> bool:
        """Takes the step, or puts back what the forward pass changed.

        Args:
            step: Its number.
            witness: A scalar; the step is taken if it is finite.

        Returns:
            Whether it was skipped, where that is known.
        """
        optimizer, average = self._learner.optimizer, self._learner.average
        if self.asks:
            if not math.isfinite(witness.item()):
                self._buffers.put_back()
                return True
            optimizer.step()
            if average is not None:
                average.update(step)
            return False
        finite = torch.isfinite(witness)
        optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        optimizer.step()
        self._buffers.put_back_unless(finite)
        if average is not None:
            average.update(step, finite.double())
        return False


class _Buffers:
    """A network's buffers, of each type as one flat tensor: few operations, however many."""

    def __init__(self, buffers: Iterable[Tensor]) -> None:
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for buffer in buffers:
            by_type.setdefault(buffer.dtype, []).append(buffer)
        self._groups = list(by_type.values())
        self._before: list[Tensor] = []

    def remember(self) -> None:
        self._before = [_flat(group) for group in self._groups]

    def put_back(self) -> None:
        for group, before in zip(self._groups, self._before, strict=True):
            _copy_flat(group, before)

    def put_back_unless(self, finite: Tensor) -> None:
        for group, before in zip(self._groups, self._before, strict=True):
            _copy_flat(group, torch.where(finite, _flat(group), before))


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _copy_flat(tensors: list[Tensor], flat: Tensor) -> None:
    pieces = torch.split(flat, [tensor.numel() for tensor in tensors])
    shaped = [piece.view(t.shape) for piece, t in zip(pieces, tensors, strict=True)]
    torch._foreach_copy_(tensors, shaped)
