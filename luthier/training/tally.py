"""What the steps add up to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from luthier.tasks.task import Loss
from luthier.training.state import LoopState

MOST_PENDING = 256


class Tally:
    """Losses and skipped steps. To add waits for nothing; to read waits for the device."""

    def __init__(self, start: LoopState) -> None:
        self._loss_sum, self._loss_count = start.loss_sum, start.loss_count
        self._parts = dict(start.loss_parts)
        self._skipped, self._in_a_row = start.skipped, start.skipped_in_a_row
        self._longest = 0
        self._pending: list[tuple[Loss, Tensor]] = []

    def add(self, loss: Loss, witness: Tensor) -> None:
        """One step more; it was skipped if `witness`, a scalar, is not finite."""
        self._pending.append((loss, witness))
        if len(self._pending) == MOST_PENDING:
            self._settle()

    def losses(self) -> tuple[float, float]:
        """Sum and count since `begin_row`, of the steps that were taken."""
        self._settle()
        return self._loss_sum, self._loss_count

    def mean_loss(self) -> float | None:
        """Since `begin_row`; none if no step was taken."""
        loss_sum, loss_count = self.losses()
        return loss_sum / loss_count if loss_count else None

    def parts(self) -> dict[str, float]:
        """Of the sum since `begin_row`, what is not the task's own loss."""
        self._settle()
        return dict(self._parts)

    def mean_parts(self) -> dict[str, float]:
        """The same, for each of the targets that `mean_loss` is a mean over."""
        return {name: part / self._loss_count for name, part in self.parts().items()}

    def skipped(self) -> tuple[int, int, int]:
        """Steps skipped: in all, at the end of it in a row, and the most in a row."""
        self._settle()
        return self._skipped, self._in_a_row, self._longest

    def begin_row(self) -> None:
        """Forgets the losses."""
        self._settle()
        self._loss_sum = self._loss_count = 0.0
        self._parts = {}

    def _settle(self) -> None:
        if not self._pending:
            return
        sums = torch.stack([loss.sum for loss, _ in self._pending]).tolist()
        counts = torch.stack([loss.count for loss, _ in self._pending]).tolist()
        witnesses = torch.stack([witness for _, witness in self._pending]).tolist()
        losses = [loss for loss, _ in self._pending]
        for loss, loss_sum, loss_count, witness in zip(
            losses, sums, counts, witnesses, strict=True
        ):
            if math.isfinite(witness):
                self._loss_sum += loss_sum
                self._loss_count += loss_count
                for name, part in loss.parts.items():
                    self._parts[name] = self._parts.get(name, 0.0) + part.item()
                self._in_a_row = 0
            else:
                self._skipped += 1
                self._in_a_row += 1
                self._longest = max(self._longest, self._in_a_row)
        self._pending.clear()
