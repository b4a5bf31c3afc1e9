"""What is learned: the interface between a network and the loop.

The loop knows nothing else of a task, and a task nothing of the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from luthier.data.target import Target
from luthier.metrics.interval import Metric

Columns = Mapping[str, np.ndarray]
"""Values for each example: arrays whose first dimension is the example."""


@dataclass(frozen=True)
class Loss:
    """The loss of a batch as a sum and what it is a sum over.

    The loop alone divides, by the count of the whole global batch; a mean of means would weigh
    the targets of short micro-batches more.
    """

    sum: Tensor
    """Scalar, differentiable."""
    count: Tensor
    """Scalar: targets in the sum, or their weights where they are weighted."""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """What of the sum is not the task's own, by name: `load_balance`. Scalars."""


class Batch(Protocol):
    """What a task's `collate` makes, and its other methods read."""

    @property
    def size(self) -> int:
        """Rows."""

    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""


AnyBatch = TypeVar("AnyBatch")


@runtime_checkable
class SurveysBatches(Protocol):
    """A task whose loss of a row hangs on the whole batch of a step, whatever parts it is cut
    into."""

    def survey(self, network: nn.Module, parts: Sequence[Any]) -> Sequence[Any]:
        """The parts of a batch, with what is measured on all of them before any is learned
        from. The network is not in training mode."""


@runtime_checkable
class SettlesOnValidation(Protocol):
    """A task with a choice that is made when the training is over, on the validation split."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to choose."""

    def settled(self, columns: Columns) -> Target:
        """What its outputs mean with the choice made.

        Args:
            columns: What `judge` said of the split.
        """


@runtime_checkable
class MeasuresInTwoWays(Protocol):
    """A task whose metrics take long: while it trains, others are measured."""

    def while_training(self) -> Task[Any]:
        """The same task, which measures what is quick."""


class Task(Protocol[AnyBatch]):
    """What a network learns to do."""

    @property
    def headline(self) -> str:
        """The metric that decides which checkpoint is best: a key of what `metrics` returns."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger headline is a better one."""

    def collate(self, samples: Any) -> AnyBatch:
        """Samples of the kind that the task learns from, as a batch."""

    def loss(self, network: nn.Module, batch: AnyBatch) -> Loss:
        """One forward pass and its loss."""

    def judge(self, network: nn.Module, batch: AnyBatch) -> Columns:
        """What the network says about each example, and how well: one forward pass.

        Always holds `id` (int64) and `loss` (float64, of the one example, unweighted). Where an
        example has several targets, `loss` is their mean, and `targets` (int64) their number.
        """

    def metrics(self, columns: Columns) -> dict[str, Metric]:
        """The task's metrics over all examples, the headline first."""

    def details(self, columns: Columns) -> dict[str, Any]:
        """What stands behind the metrics, JSON-ready."""

    def predict(self, network: nn.Module, batch: AnyBatch, top: int) -> list[dict[str, Any]]:
        """One JSON-ready prediction for each example, with up to `top` likely answers."""
