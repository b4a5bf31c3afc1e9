"""Reward: a network says what an answer is worth, learned from which of two answers is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from luthier.data.chat.answers import AnswerSamples
from luthier.data.chat.tokens import ChatTokens
from luthier.data.purpose import Purpose
from luthier.data.target import Documents, Target
from luthier.data.text.rows.samples import Text, TextSamples
from luthier.metrics.interval import Metric
from luthier.metrics.preference import preference_metrics
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.pool import GlobalPoolSpec
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.classify import context_share
from luthier.tasks.forward import finished, in_float32, must_be_sequence
from luthier.tasks.task import Columns, Loss
from luthier.tasks.texts import Texts, read


class RewardSpec(Spec):
    """What an answer is worth, learned from pairs."""

    kind: Literal["reward"] = "reward"
    margin: float = Field(default=0.0, ge=0, le=100)
    """How much more than the worse answer the better one shall be worth, at least."""
    centre: float = Field(default=0.0, ge=0, le=1)
    """Times the squared sum of both rewards, added to the loss: keeps rewards around 0, where they
    can be compared between questions. 0.01 is usual; 0 for none."""

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        return Purpose(learns="preferences", specials=("end",))

    def head(self, signal: Signal, target: Target) -> tuple[GlobalPoolSpec | DenseSpec, ...]:
        """The blocks that turn `signal`, the last layer's output, into one number.

        The last token is read: a network that reads forwards has seen all of the answer there.

        Raises:
            ShapeError: If it is no sequence.
        """
        assert isinstance(target, Documents)
        must_be_sequence("reward", signal)
        return (GlobalPoolSpec(reduce="last"), DenseSpec(width=1))

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample."""
        assert isinstance(target, Documents)
        return Signal("vector", (1,))

    def build(self, target: Target) -> Reward:
        """The task."""
        assert isinstance(target, Documents)
        return Reward(self)


@dataclass(frozen=True)
class RewardBatch:
    """Answers: of pairs, all better ones before all worse ones."""

    texts: Texts
    ids: Tensor
    """`(B,)` row numbers."""

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.ids)

    def to(self, device: Any) -> RewardBatch:
        """The same batch on `device`; the ids, which only people read, stay."""
        return RewardBatch(self.texts.to(device), self.ids)


class Reward:
    """`-log sigmoid(better - worse - margin)`, summed over pairs.

    Source:
        Bradley and Terry 1952; Ouyang et al. 2022, 2203.02155, equation 1. The centring term:
        Eisenstein et al. 2023, 2312.09244, section 3.

    Args:
        spec: The settings.
    """

    headline = "accuracy"
    higher_is_better = True

    def __init__(self, spec: RewardSpec) -> None:
        self.spec = spec

    def collate(self, samples: AnswerSamples | TextSamples) -> RewardBatch:
        """Answers as a batch."""
        if isinstance(samples, AnswerSamples):
            texts = [_text(row) for row in samples.answers]
            samples = TextSamples(texts=texts, labels=samples.ids, ids=samples.ids)
        return RewardBatch(Texts.of(samples), samples.ids)

    def loss(self, network: nn.Module, batch: RewardBatch) -> Loss:
        """One forward pass and its loss."""
        y_A1, stream = read(network, batch.texts)
        losses_B = self._losses(in_float32(y_A1)[:, 0], batch.size)
        count = losses_B.new_tensor(float(batch.size))
        return finished(losses_B.sum(), count, stream, context_share(network) / 2)

    def _losses(self, reward_A: Tensor, pairs: int) -> Tensor:
        better_B, worse_B = reward_A[:pairs], reward_A[pairs:]
        losses_B = -F.logsigmoid(better_B - worse_B - self.spec.margin)
        if self.spec.centre:
            losses_B = losses_B + self.spec.centre * (better_B + worse_B).square()
        return losses_B

    def judge(self, network: nn.Module, batch: RewardBatch) -> Columns:
        """What the network says of each pair: `id`, `loss`, and what its answers are worth,
        `better` and `worse`."""
        reward_A = in_float32(read(network, batch.texts)[0])[:, 0].detach()
        found = {
            "loss": self._losses(reward_A, batch.size),
            "better": reward_A[: batch.size],
            "worse": reward_A[batch.size :],
        }
        numbers = {name: values.cpu().double().numpy() for name, values in found.items()}
        return {"id": batch.ids.numpy(), **numbers}

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """`accuracy` (how often the better answer is worth more), `margin` (by how much) and
        `loss`."""
        return preference_metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What was measured on: `rows`."""
        return {"rows": len(columns["id"])}

    def predict(self, network: nn.Module, batch: RewardBatch, top: int) -> list[dict[str, Any]]:
        """The `reward` of each answer."""
        reward_A = in_float32(read(network, batch.texts)[0])[:, 0]
        return [{"reward": value} for value in reward_A.detach().cpu().double().tolist()]


def _text(row: ChatTokens) -> Text:
    return Text(tokens=row.tokens)
