"""What is learned: the interface between a network and the loop.

The loop knows nothing else of a task, and a task nothing of the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from luthier.data.examples import Samples
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


class Batch(Protocol):
    """What a task's `collate` makes, and its `loss` and `decode` read."""

    @property
    def size(self) -> int:
        """Rows."""

    def to(self, device: torch.device) -> Self:
        """The same batch on `device`."""


AnyBatch = TypeVar("AnyBatch")


class Task(Protocol[AnyBatch]):
    """What a network learns to do."""

    @property
    def headline(self) -> str:
        """The metric that decides which checkpoint is best: a key of what `metrics` returns."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger headline is a better one."""

    def collate(self, samples: Samples) -> AnyBatch:
        """Samples as a batch."""

    def loss(self, network: nn.Module, batch: AnyBatch) -> Loss:
        """One forward pass and its loss."""

    def decode(self, output: Tensor, batch: AnyBatch) -> Columns:
        """What the network's output says about each example, and how well.

        Always holds `id` (int64) and `loss` (float64, of the one example, unweighted).
        """

    def metrics(self, columns: Columns) -> dict[str, Metric]:
        """The task's metrics over all examples, the headline first."""

    def details(self, columns: Columns) -> dict[str, Any]:
        """What stands behind the metrics, JSON-ready."""

    def predict(self, output: Tensor, top: int) -> list[dict[str, Any]]:
        """One JSON-ready prediction for each row of the network's output."""
