"""Classify and tag: a class for a text and a tag for each of its words, from one network.

Dimension key, for the whole file:
    N  texts      S  tokens of all texts      W  words of all texts      K  scores of a token
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from luthier.data.purpose import Purpose
from luthier.data.target import LabelsAndTags, Target
from luthier.data.text.rows.samples import TextSamples
from luthier.metrics.classification import classification_details, classification_metrics
from luthier.metrics.interval import Metric, wilson
from luthier.metrics.tagging import entity_metrics, scores_by_type, word_metrics
from luthier.model.blocks.dense import DenseSpec
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.classify import TEXT_SPECIALS, context_share, judged, likeliest
from luthier.tasks.forward import finished, in_float32, must_be_sequence
from luthier.tasks.task import Columns, Loss
from luthier.tasks.texts import read
from luthier.tasks.words import From, WordBatch, counted, described, types_of, whole


class ClassifyAndTagSpec(Spec):
    """A class for each text and a tag for each of its words, from one network: what somebody
    wants, and the details of it."""

    kind: Literal["classify_and_tag"] = "classify_and_tag"
    word: From = "first"
    """Which scores a word has that is of several tokens: those of its first, or their mean."""
    tag_weight: float = Field(default=1.0, gt=0, le=1000)
    """How much the tags of a text count beside its class in the loss."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the target that is spread over all classes, and over all tags."""
    top_k: int = Field(default=5, ge=1)
    """Top-k accuracy counts a class as right if it is among the k likeliest."""

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        return Purpose(learns="labels_and_tags", specials=TEXT_SPECIALS)

    def head(self, signal: Signal, target: Target) -> tuple[DenseSpec, ...]:
        """The block that turns `signal`, the last layer's output, into scores at each token.

        It is one dense layer: the scores of the tags, and behind them those of the classes. A
        class's score for a text is the mean over its tokens, which is the score that the same
        layer would give to the mean of what it reads: two heads in one.

        Raises:
            ShapeError: If it is no sequence.
        """
        must_be_sequence(self.kind, signal)
        return (DenseSpec(width=_width(target)),)

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample."""
        return Signal("sequence", (reads.shape[0], _width(target)))

    def build(self, target: Target) -> ClassifyAndTag:
        """The task for the classes and tags of `target`."""
        assert isinstance(target, LabelsAndTags)
        return ClassifyAndTag(self, target)


class ClassifyAndTag:
    """Two cross-entropies: that of the class, and the mean of those of the words' tags.

    The loss of a text is `class + tag_weight * mean over its words`, and the count is the texts.

    Args:
        spec: The settings.
        target: The names of the classes, and of the tags.
    """

    headline = "frame_accuracy"
    higher_is_better = True

    def __init__(self, spec: ClassifyAndTagSpec, target: LabelsAndTags) -> None:
        self.spec = spec
        self.classes = target.labels.names
        self.tags = target.tags

    def collate(self, samples: TextSamples) -> WordBatch:
        """Samples as a batch."""
        return WordBatch.of(samples)

    def loss(self, network: nn.Module, batch: WordBatch) -> Loss:
        """One forward pass and its loss."""
        classes_NK, tags_WK, stream = self._scores(network, batch)
        smoothing = self.spec.label_smoothing
        class_loss = F.cross_entropy(
            classes_NK, batch.labels, reduction="sum", label_smoothing=smoothing
        )
        tags_W = batch.words.tags_W
        assert tags_W is not None, "tags are not known"
        nats_W = F.cross_entropy(tags_WK, tags_W, reduction="none", label_smoothing=smoothing)
        loss = class_loss + self.spec.tag_weight * (nats_W / self._words_beside(batch)).sum()
        return finished(loss, loss.new_full((), batch.size), stream, context_share(network))

    def judge(self, network: nn.Module, batch: WordBatch) -> Columns:
        """What the network says of each text and of its words.

        Those of `Classify.judge` and of `metrics/tagging.py`, and `whole`: whether the class and
        every tag are right. `loss` is that of the text, without smoothing.
        """
        classes_NK, tags_WK, _ = self._scores(network, batch)
        tags_W = batch.words.tags_W
        assert tags_W is not None, "an evaluation of words whose tags are not known"
        columns = judged(classes_NK, batch.labels, self.spec.top_k)
        nats_W = F.cross_entropy(tags_WK.detach().cpu().double(), tags_W.cpu(), reduction="none")
        mean_W = (nats_W / self._words_beside(batch).cpu()).numpy()
        rows_W = np.repeat(np.arange(batch.size), batch.words.lengths)
        tag_loss = np.bincount(rows_W, mean_W, minlength=batch.size)
        counts = counted(batch.words, _best(tags_WK), self.tags)
        is_right = (columns["label"] == columns["predicted"]) & (counts["right"] == counts["words"])
        return {
            "id": batch.ids.numpy(),
            **columns,
            "loss": columns["loss"] + self.spec.tag_weight * tag_loss,
            "whole": is_right,
            **counts,
        }

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """`frame_accuracy` (texts of which the class and every tag are right), what a classifier
        is measured by, and what a tagger is."""
        is_right = columns["whole"]
        of_tags = word_metrics if self.tags.scheme == "plain" else entity_metrics
        return {
            "frame_accuracy": wilson(int(is_right.sum()), len(is_right)),
            **classification_metrics(columns, len(self.classes), self.spec.top_k),
            **of_tags(columns),
        }

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Those of a classifier, and `types`, by type of entity or by tag; JSON-ready."""
        of_classes = classification_details(columns, self.classes).to_json()
        return of_classes | {"types": scores_by_type(columns, types_of(self.tags))}

    def predict(self, network: nn.Module, batch: WordBatch, top: int) -> list[dict[str, Any]]:
        """The `top` likeliest classes of each text, and what its words are; see `described`."""
        classes_NK, tags_WK, _ = self._scores(network, batch)
        said = whole(batch.words, _best(tags_WK), self.tags)
        found = likeliest(classes_NK, self.classes, top)
        return [
            answer | described(text, tags.tolist(), self.tags)
            for answer, text, tags in zip(found, batch.words.texts, said, strict=True)
        ]

    def _scores(self, network: nn.Module, batch: WordBatch) -> tuple[Tensor, Tensor, Stream]:
        """The scores of the classes of each text and of the tags of each word, in float32 at
        least, and the stream."""
        y_SK, stream = read(network, batch.inputs)
        y_SK, tags = in_float32(y_SK), len(self.tags.names)
        lengths_N = torch.tensor(batch.inputs.lengths, device=y_SK.device)
        text_S = torch.arange(batch.size, device=y_SK.device).repeat_interleave(lengths_N)
        sums_NK = y_SK.new_zeros(batch.size, len(self.classes))
        sums_NK = sums_NK.index_add(0, text_S, y_SK[:, tags:])
        tags_WK = batch.words.scores(y_SK[:, :tags], self.spec.word)
        return sums_NK / lengths_N[:, None], tags_WK, stream

    @staticmethod
    def _words_beside(batch: WordBatch) -> Tensor:
        """For each word, the words of its text."""
        lengths = torch.tensor(batch.words.lengths)
        return lengths.repeat_interleave(lengths).to(batch.inputs.device)


def _width(target: Target) -> int:
    assert isinstance(target, LabelsAndTags)
    return len(target.tags.names) + len(target.labels.names)


def _best(y_WK: Tensor) -> np.ndarray:
    """The likeliest tag of each word."""
    return y_WK.detach().argmax(1).cpu().numpy()
