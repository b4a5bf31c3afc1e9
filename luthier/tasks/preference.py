"""Preference: a language network learns which answers are better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.data.chat.answers import AnswerSamples
from luthier.data.purpose import Purpose
from luthier.data.target import Documents, Target
from luthier.data.text.rows.samples import TextSamples
from luthier.metrics.interval import Metric
from luthier.metrics.preference import preference_metrics
from luthier.model.blocks.unembed import UnembedSpec
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.answers import AnswerBatch, batch_of_answers, log_probabilities
from luthier.tasks.classify import context_share
from luthier.tasks.forward import finished, must_be_sequence
from luthier.tasks.language import AskedTexts, Language, LanguageSpec
from luthier.tasks.preference_losses import (
    REFERRING,
    Kind,
    Strength,
    Weighing,
    pair_losses,
    rewards,
    single_losses,
)
from luthier.tasks.task import Columns, Loss

USUAL_BETA: Mapping[Kind, float] = {
    "dpo": 0.1,
    "ipo": 0.1,
    "orpo": 0.1,
    "simpo": 2.0,
    "kto": 0.1,
}
"""As their authors have it."""
USUAL_MARGIN = 1.0


class PreferenceSpec(Spec):
    """Which answers are better: DPO and its kin."""

    kind: Literal["preference"] = "preference"
    loss: Kind = "dpo"
    """dpo and ipo compare with the network that training began with; orpo and simpo need none.
    kto learns from single answers, each good or bad; pairs become two of them."""
    beta: float | None = Field(default=None, gt=0, le=100)
    """How strongly the loss holds on to where training began, or, of orpo and simpo, how much the
    comparison weighs. None means 0.1, and 2 for simpo."""
    margin: float | None = Field(default=None, ge=0, le=100)
    """How much better the better answer shall be, where the loss is simpo. None means 1."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """The share of pairs that may be labelled the wrong way round, where the loss is dpo."""
    good_weight: float = Field(default=1.0, gt=0, le=100)
    """What a good answer weighs, where the loss is kto."""
    bad_weight: float = Field(default=1.0, gt=0, le=100)
    """What a bad answer weighs, where the loss is kto."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        belongs: dict[str, Kind] = {
            "margin": "simpo",
            "label_smoothing": "dpo",
            "good_weight": "kto",
            "bad_weight": "kto",
        }
        for name, loss in belongs.items():
            if name in self.model_fields_set and self.loss != loss:
                value = getattr(self, name)
                raise ValueError(f"{name}: got {value}, but it belongs to {loss}; leave it out")
        return self

    @property
    def strength(self) -> Strength:
        """The numbers of the loss."""
        return Strength(
            beta=USUAL_BETA[self.loss] if self.beta is None else self.beta,
            margin=USUAL_MARGIN if self.margin is None else self.margin,
            label_smoothing=self.label_smoothing,
            good_weight=self.good_weight,
            bad_weight=self.bad_weight,
        )

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        learns: Literal["judgements", "preferences"] = (
            "judgements" if self.loss == "kto" else "preferences"
        )
        return Purpose(learns=learns, specials=("end",), ahead=1)

    def head(self, signal: Signal, target: Target) -> tuple[UnembedSpec, ...]:
        """The block that turns `signal`, the last layer's output, into a score for each token.

        Raises:
            ShapeError: If it is no sequence.
        """
        assert isinstance(target, Documents)
        must_be_sequence("preference", signal)
        return (UnembedSpec(vocab=target.vocab),)

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample."""
        assert isinstance(target, Documents)
        return Signal("sequence", (reads.shape[0], target.vocab))

    def build(self, target: Target) -> Preference:
        """The task for the vocabulary of `target`."""
        assert isinstance(target, Documents)
        return Preference(self, target)


class Preference:
    """A loss on what answers weigh: the sum over the tokens of each, by the network.

    The mean is over rows: pairs, or single answers.

    Args:
        spec: The settings.
        target: The vocabulary.
    """

    def __init__(self, spec: PreferenceSpec, target: Documents) -> None:
        self.spec = spec
        self.target = target
        self.headline = "loss" if spec.loss == "kto" else "accuracy"
        self.higher_is_better = spec.loss != "kto"
        self._how = spec.strength
        self._language = Language(LanguageSpec(), target)

    @property
    def refers(self) -> bool:
        """Whether it compares with the network that training began with."""
        return self.spec.loss in REFERRING

    def collate(self, samples: AnswerSamples | TextSamples) -> AnswerBatch | AskedTexts:
        """Answers to learn from as a batch; or texts that somebody asks about."""
        if isinstance(samples, TextSamples):
            asked = self._language.collate(samples)
            assert isinstance(asked, AskedTexts)
            return asked
        return batch_of_answers(samples)

    def weigh(self, network: nn.Module, batch: AnswerBatch) -> Tensor:
        """`(A,)`, the logarithm of each answer's probability, without a gradient."""
        with torch.no_grad():
            return log_probabilities(network, batch)[0]

    def survey(self, network: nn.Module, parts: Sequence[AnswerBatch]) -> list[AnswerBatch]:
        """The parts of a step's batch, with what is measured on all of them before.

        KTO's divergence is a mean over the batch: of its parts, each would have another.
        """
        if self.spec.loss != "kto":
            return list(parts)
        total, count = 0.0, 0
        for part in parts:
            other = part.side(1)
            assert other.reference_A is not None, "a loss that refers to where training began"
            moved_B = self.weigh(network, other).double() - other.reference_A.double()
            total += float(moved_B.sum())
            count += len(moved_B)
        moved = torch.tensor(max(total / count, 0.0), dtype=torch.float64)
        return [replace(part, moved=moved.to(part.counts_A.device)) for part in parts]

    def loss(self, network: nn.Module, batch: AnswerBatch) -> Loss:
        """One forward pass and its loss."""
        if self.spec.loss == "kto":
            assert batch.moved is not None, "a part that was not surveyed"
            batch = batch.side(0)
        log_p_A, stream = log_probabilities(network, batch)
        losses_B = self._losses(log_p_A, batch)
        share = context_share(network) / (len(log_p_A) // batch.size)
        return finished(losses_B.sum(), losses_B.new_tensor(float(batch.size)), stream, share)

    def _losses(self, log_p_A: Tensor, batch: AnswerBatch) -> Tensor:
        first, second = _sides(log_p_A, batch)
        if second is None:
            assert batch.good_B is not None
            assert batch.moved is not None
            return single_losses(first, batch.good_B, batch.moved, self._how)
        return pair_losses(self.spec.loss, first, second, self._how)

    def judge(self, network: nn.Module, batch: AnswerBatch) -> Columns:
        """What the network says of each row.

        `id` and `loss`; of pairs `better` and `worse`, what their answers are worth (the reward
        that the loss implies), and `better_nats`, what a token of the better one costs; of single
        answers `reward`, and `good`. The divergence of KTO counts as none here, so that what is
        said of an answer hangs on no other.
        """
        if self.spec.loss == "kto":
            batch = replace(batch.side(0), moved=batch.counts_A.new_zeros(()))
        log_p_A, _ = log_probabilities(network, batch)
        first, second = _sides(log_p_A, batch)
        columns = {
            "id": batch.ids.numpy(),
            "loss": _numbers(self._losses(log_p_A, batch)),
        }
        worth = _numbers(rewards(self.spec.loss, first, self._how))
        if second is None:
            assert batch.good_B is not None
            return columns | {"reward": worth, "good": batch.good_B.cpu().numpy()}
        return columns | {
            "better": worth,
            "worse": _numbers(rewards(self.spec.loss, second, self._how)),
            "better_nats": _numbers(-first.mean_B),
        }

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """Of pairs `accuracy` (how often the better answer is worth more), `margin` (by how much)
        and `loss`; of single answers `loss` and `margin` (good ones over bad ones)."""
        return preference_metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What was measured on: `rows`."""
        return {"rows": len(columns["id"])}

    def predict(self, network: nn.Module, batch: AskedTexts, top: int) -> list[dict[str, Any]]:
        """What each text may go on with, as of any language network."""
        return self._language.predict(network, batch, top)


def _sides(log_p_A: Tensor, batch: AnswerBatch) -> tuple[Weighing, Weighing | None]:
    """The answers of the first kind, and of the second where there are two of each row."""
    reference_A, counts_A = batch.reference_A, batch.counts_A
    made = []
    for start in range(0, len(log_p_A), batch.size):
        some = slice(start, start + batch.size)
        reference = None if reference_A is None else reference_A[some]
        made.append(Weighing(log_p_A[some], reference, counts_A[some]))
    return made[0], made[1] if len(made) > 1 else None


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
