"""Distillation: a network learns what a teacher says of the same inputs, beside the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.metrics.interval import Metric
from luthier.model.linear_divergence import Scored, divergence, linear_divergence
from luthier.spec import Spec
from luthier.tasks.classify import Classify, ClassifyBatch, scored
from luthier.tasks.forward import in_float32
from luthier.tasks.language import Answer, Language, LanguageBatch, answered
from luthier.tasks.rows import RowBatch
from luthier.tasks.task import Columns, Loss


class DistillSpec(Spec):
    """What a teacher says is learned too."""

    teacher: str
    """A finished run that does the same, or a pretrained network of that kind: of the same
    classes, or of the same tokens."""
    weight: float = Field(default=0.5, gt=0, le=1)
    """The teacher's share of the loss; the labels have the rest."""
    temperature: float = Field(default=2.0, ge=1, le=100)
    """What scores are divided by before they are compared: higher ones show more of what the
    teacher holds for unlikely."""


class Distilled:
    """`(1 - weight) * loss + weight * T^2 KL(teacher || network)`, over the same targets.

    Everything but the loss is the task's own: what is measured knows no teacher.

    Source:
        Hinton et al. 2015, 1503.02531.

    Args:
        spec: The settings.
        task: What the network learns.
        teacher: The network that knows it, where the other one is; it stays as it is.
    """

    def __init__(self, spec: DistillSpec, task: Classify | Language, teacher: nn.Module) -> None:
        self.spec = spec
        self.inner = task
        self.headline = task.headline
        self.higher_is_better = task.higher_is_better
        self._teacher: nn.Module | None = teacher.eval().requires_grad_(False)
        self._known: Tensor | None = None

    def collate(self, samples: Any) -> Any:
        """The task's own."""
        return self.inner.collate(samples)

    def said(self, batch: ClassifyBatch) -> Tensor:
        """The teacher's scores of the classes: `(B, K)`."""
        if self._known is not None:
            return self._known[batch.ids].to(batch.targets.device)
        with torch.no_grad():
            return scored(self._taught_by(), batch)[0]

    def remember(self, known: Tensor) -> None:
        """Takes what the teacher says of each training row, `(N, K)`, and lets the teacher go."""
        self._known, self._teacher = known, None

    def _taught_by(self) -> nn.Module:
        assert self._teacher is not None, "a teacher that is gone"
        return self._teacher

    def loss(self, network: nn.Module, batch: LanguageBatch | ClassifyBatch) -> Loss:
        """One forward pass of each network, and the loss."""
        if isinstance(self.inner, Language):
            assert isinstance(batch, RowBatch)
            made, far = self._of_tokens(self.inner, network, batch)
        else:
            assert isinstance(batch, ClassifyBatch)
            made, far = self._of_classes(self.inner, network, batch)
        weight = self.spec.weight
        total = (1 - weight) * made.sum + weight * far
        return Loss(total, made.count, {**made.parts, "teacher": (weight * far).detach()})

    def _of_tokens(
        self, task: Language, network: nn.Module, batch: RowBatch
    ) -> tuple[Loss, Tensor]:
        answer = answered(network, batch)
        with torch.no_grad():
            known = answered(self._taught_by(), batch)
        if answer.last is not None and known.last is not None:
            far = linear_divergence(_layer(answer), _layer(known), self.spec.temperature)
        else:
            far = divergence(_scores(answer), _scores(known), self.spec.temperature)
        return task.loss_of(answer, batch), far

    def _of_classes(
        self, task: Classify, network: nn.Module, batch: ClassifyBatch
    ) -> tuple[Loss, Tensor]:
        y_BK, stream = scored(network, batch)
        far = divergence(y_BK, self.said(batch), self.spec.temperature)
        return task.loss_of(y_BK, stream, network, batch), far

    def judge(self, network: nn.Module, batch: Any) -> Columns:
        """The task's own."""
        return self.inner.judge(network, batch)

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """The task's own."""
        return self.inner.metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The task's own."""
        return self.inner.details(columns)

    def predict(self, network: nn.Module, batch: Any, top: int) -> list[dict[str, Any]]:
        """The task's own."""
        return self.inner.predict(network, batch, top)


def _layer(answer: Answer) -> Scored:
    last = answer.last
    assert last is not None
    return Scored(answer.x_N, last.weight, last.added, last.spec.softcap)


def _scores(answer: Answer) -> Tensor:
    """`(N, V)`."""
    if answer.last is None:
        return answer.x_N
    y_1NV: Tensor = answer.last(answer.x_N[None])
    return in_float32(y_1NV[0])
