"""Classify: one of several classes for each input.

Dimension key, for the whole file:
    B  batch      K  classes      N  the likeliest classes that are kept      T  positions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from luthier.data.examples import Samples
from luthier.data.purpose import Purpose, Special
from luthier.data.sound.sound_examples import SoundSamples
from luthier.data.target import Labels, Target
from luthier.data.text.rows.samples import TextSamples
from luthier.errors import InputError, Problem, ShapeError, SpecError, nearest
from luthier.metrics.classification import classification_details, classification_metrics
from luthier.metrics.interval import Metric
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.pool import GlobalPoolSpec
from luthier.model.blueprint import Network
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.forward import finished, forward, in_float32
from luthier.tasks.sounds import Sounds, hear
from luthier.tasks.task import Columns, Loss
from luthier.tasks.texts import Texts, read

TEXT_SPECIALS: tuple[Special, ...] = ("pad",)
"""What a network that knows nothing of where texts lie finds behind them."""

Weight = Annotated[float, Field(ge=0)]


class ClassifySpec(Spec):
    """One class for each input, by cross-entropy: of a picture, a text, a pair of texts or a
    sound."""

    kind: Literal["classify"] = "classify"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the target that is spread over all classes; keeps the network from certainty."""
    class_weights: Literal["none", "balanced"] | dict[str, Weight] = "none"
    """How much the rows of each class count in training: all the same; balanced, so that each
    class counts as much as the others; or a weight for each class by its name, 1 where it has
    none."""
    top_k: int = Field(default=5, ge=1)
    """Top-k accuracy counts a prediction as right if the label is among the k likeliest."""

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        return Purpose(learns="labels", specials=TEXT_SPECIALS)

    def head(self, signal: Signal, target: Target) -> tuple[DenseSpec | GlobalPoolSpec, ...]:
        """The blocks that turn `signal`, the last layer's output, into a score for each class.

        Raises:
            ShapeError: If it is tokens.
        """
        assert isinstance(target, Labels)
        match signal.form:
            case "vector":
                return (DenseSpec(width=len(target.names)),)
            case "image" | "sequence":
                return (GlobalPoolSpec(), DenseSpec(width=len(target.names)))
            case "tokens":
                raise ShapeError(f"classify reads a vector, an image or a sequence, got {signal}")

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample."""
        assert isinstance(target, Labels)
        return Signal("vector", (len(target.names),))

    def build(self, target: Target) -> Classify:
        """The task for the classes of `target`; their counts are needed only for training.

        Raises:
            InputError: If there are fewer than two classes.
            SpecError: If a weight is given for a class that there is not, or all weights are 0.
        """
        assert isinstance(target, Labels)
        if len(target.names) < 2:
            raise InputError(
                f"the data has only the class {', '.join(target.names)}; classify wants two or more"
            )
        return Classify(self, target)


@dataclass(frozen=True)
class ClassifyBatch:
    """Inputs and what they are."""

    inputs: Tensor | Texts | Sounds
    """`(B, *signal.shape)`, or B texts or sounds."""
    targets: Tensor
    """`(B,)` class numbers, or `(B, K)` shares."""
    ids: Tensor
    """`(B,)` row numbers."""

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.inputs)

    def to(self, device: torch.device) -> ClassifyBatch:
        """The same batch on `device`; the ids, which only people read, stay."""
        if self.inputs.device == device:
            return self
        inputs = self.inputs
        return ClassifyBatch(
            inputs.to(device)
            if isinstance(inputs, Texts | Sounds)
            else inputs.to(device, non_blocking=True),
            self.targets.to(device, non_blocking=True),
            self.ids,
        )


class Classify:
    """Cross-entropy of the softmax of a score for each class.

    With class weights w the loss of a row of class y is `w[y] * -log p[y]`, and the count is the
    sum of the weights `w[y]`: the mean of a batch is the weighted one. Where mixup or cutmix
    gives a row shares of classes, it is that sum over the shares. Label smoothing e first makes
    the shares `(1 - e) * share + e / K`; the weight of a row is that of its own classes.

    Args:
        spec: The settings.
        target: The names of the classes, and the training rows of each.
    """

    headline = "accuracy"
    higher_is_better = True

    def __init__(self, spec: ClassifySpec, target: Labels) -> None:
        self.spec = spec
        self.classes = target.names
        counts = target.counts or None
        self._weights = _weights(spec.class_weights, self.classes, counts)
        self._needs_counts = spec.class_weights == "balanced" and counts is None
        self._counts: dict[tuple[int, torch.device, torch.dtype], Tensor] = {}
        self._weights_like: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def collate(self, samples: Samples | TextSamples | SoundSamples) -> ClassifyBatch:
        """Samples as a batch."""
        if isinstance(samples, SoundSamples):
            return ClassifyBatch(Sounds.of(samples), samples.labels, samples.ids)
        if isinstance(samples, TextSamples):
            return ClassifyBatch(Texts.of(samples), samples.labels, samples.ids)
        return ClassifyBatch(samples.inputs, samples.targets, samples.ids)

    def loss(self, network: nn.Module, batch: ClassifyBatch) -> Loss:
        """One forward pass and its loss."""
        y_BK, stream = scored(network, batch)
        return self.loss_of(y_BK, stream, network, batch)

    def loss_of(
        self, y_BK: Tensor, stream: Stream, network: nn.Module, batch: ClassifyBatch
    ) -> Loss:
        """The loss of a pass that was made."""
        assert not self._needs_counts, "balanced weights need the training rows of each class"
        targets, weights_K = batch.targets, self._weights_for(y_BK)
        if targets.ndim == 2:
            targets = targets.to(y_BK.dtype)
        loss_sum = F.cross_entropy(
            y_BK,
            targets,
            weight=weights_K,
            reduction="sum",
            label_smoothing=self.spec.label_smoothing,
        )
        count = self._count(targets, weights_K, loss_sum)
        return finished(loss_sum, count, stream, context_share(network))

    def judge(self, network: nn.Module, batch: ClassifyBatch) -> Columns:
        """What the network says of each example.

        `id`, `label`, `predicted` (class numbers), `probability` (of the predicted class),
        `probability_of_label`, `loss` (with label smoothing, without class weights), `top` (the
        likeliest classes, `(B, N)`) and `top_probability`.
        """
        y_BK, _ = _run(network, batch.inputs)
        smoothing = self.spec.label_smoothing
        return {
            "id": batch.ids.cpu().numpy(),
            **judged(y_BK, batch.targets, self.spec.top_k, label_smoothing=smoothing),
        }

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """Accuracy, and what else a classifier is measured by."""
        return classification_metrics(columns, len(self.classes), self.spec.top_k)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """By class, by pair of classes, by probability; JSON-ready."""
        return classification_details(columns, self.classes).to_json()

    def predict(self, network: nn.Module, batch: ClassifyBatch, top: int) -> list[dict[str, Any]]:
        """The `top` likeliest classes of each row, with their probabilities."""
        return likeliest(_run(network, batch.inputs)[0], self.classes, top)

    def _count(self, targets: Tensor, weights_K: Tensor | None, like: Tensor) -> Tensor:
        """The weights of the rows, summed: what the mean is a mean over."""
        if weights_K is not None:
            rows = weights_K[targets] if targets.ndim == 1 else targets @ weights_K
            return rows.sum()
        key = (len(targets), like.device, like.dtype)
        if key not in self._counts:  # nearly all batches have the same
            self._counts[key] = like.new_full((), len(targets))
        return self._counts[key]

    def _weights_for(self, y_BK: Tensor) -> Tensor | None:
        if self._weights is None:
            return None
        key = (y_BK.device, y_BK.dtype)
        if key not in self._weights_like:
            self._weights_like[key] = self._weights.to(y_BK)
        return self._weights_like[key]


def judged(
    y_BK: Tensor, labels_B: Tensor, top_k: int, *, label_smoothing: float = 0.0
) -> dict[str, np.ndarray]:
    """What scores say of each example: the columns of `Classify.judge` without `id`.

    Args:
        y_BK: A score for each class.
        labels_B: What they are.
        top_k: Classes to keep.
        label_smoothing: Of the loss.
    """
    labels_B = labels_B.cpu()
    assert labels_B.ndim == 1, "an evaluation reads rows that are not mixed"
    y_BK = y_BK.detach().cpu().double()
    p_BK = y_BK.softmax(1)
    p_BN, top_BN = p_BK.topk(min(top_k, y_BK.shape[1]), 1)
    loss_B = F.cross_entropy(y_BK, labels_B, reduction="none", label_smoothing=label_smoothing)
    return {
        "loss": loss_B.numpy(),
        "label": labels_B.numpy(),
        "predicted": top_BN[:, 0].numpy(),
        "probability": p_BN[:, 0].numpy(),
        "probability_of_label": p_BK.gather(1, labels_B[:, None])[:, 0].numpy(),
        "top": top_BN.numpy(),
        "top_probability": p_BN.numpy(),
    }


def likeliest(y_BK: Tensor, classes: Sequence[str], top: int) -> list[dict[str, Any]]:
    """For each row `label` and `probability` of the likeliest class, and `top`, a list of both."""
    p_BK = y_BK.detach().cpu().double().softmax(1)
    p_BN, top_BN = p_BK.topk(min(top, len(classes)), 1)
    predictions = []
    for p_N, top_N in zip(p_BN.tolist(), top_BN.tolist(), strict=True):
        found = [
            {"label": classes[number], "probability": p}
            for number, p in zip(top_N, p_N, strict=True)
        ]
        predictions.append({**found[0], "top": found})
    return predictions


def scored(network: nn.Module, batch: ClassifyBatch) -> tuple[Tensor, Stream]:
    """`(B, K)` scores in float32 at least, and the stream of the pass."""
    y_BK, stream = _run(network, batch.inputs)
    return in_float32(y_BK), stream


def _run(network: nn.Module, inputs: Tensor | Texts | Sounds) -> tuple[Tensor, Stream]:
    """`(B, K)` scores, and the stream of the pass."""
    if isinstance(inputs, Sounds):
        y_BK, stream, _ = hear(network, inputs)
        return y_BK, stream
    if isinstance(inputs, Texts):
        return read(network, inputs)
    stream = Stream()
    return forward(network, inputs, stream), stream


def context_share(network: nn.Module) -> float:
    """Targets for a position of a text, or a frame of a sound, that is as long as texts may be."""
    if isinstance(network, Network) and network.reads.form in ("tokens", "sequence"):
        return 1 / network.reads.shape[0]
    return 1.0


def _weights(
    given: Literal["none", "balanced"] | dict[str, float],
    classes: tuple[str, ...],
    counts: Sequence[int] | None,
) -> Tensor | None:
    """`(K,)`, float64; none where all rows count the same."""
    if given == "none" or (given == "balanced" and counts is None):
        return None
    if given == "balanced":
        assert counts is not None
        assert len(counts) == len(classes)
        # A class with no row counts as one of a single row, so that nothing is divided by 0.
        rows_K = torch.tensor(counts, dtype=torch.float64).clamp(min=1)
        return rows_K.sum() / (len(classes) * rows_K)
    problems = [
        Problem(
            place=f"task.class_weights.{name}",
            message=f'got a weight for "{name}", which is no class of the data'
            f"{nearest(name, classes)}",
        )
        for name in given
        if name not in classes
    ]
    weights = [given.get(name, 1.0) for name in classes]
    if not problems and not any(weights):
        message = "every class has the weight 0, so nothing would be learned"
        problems = [Problem(place="task.class_weights", message=message)]
    if problems:
        raise SpecError(problems)
    return torch.tensor(weights, dtype=torch.float64)
