"""Tag: one of several tags for each word of a text.

Dimension key, for the whole file:
    N  texts      S  tokens of all texts      W  words of all texts      K  tags
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.data.purpose import Purpose
from luthier.data.target import Tags, Target
from luthier.data.text.rows.samples import TextSamples
from luthier.errors import InputError
from luthier.metrics.interval import Metric
from luthier.metrics.tagging import entity_metrics, scores_by_type, word_metrics
from luthier.model.blocks.crf import Crf, CrfSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.classify import TEXT_SPECIALS
from luthier.tasks.forward import finished, in_float32, last_of_head, must_be_sequence
from luthier.tasks.task import Columns, Loss
from luthier.tasks.texts import read
from luthier.tasks.words import From, WordBatch, counted, described, types_of, whole


class TagSpec(Spec):
    """A tag for each word: names in a text, parts of speech."""

    kind: Literal["tag"] = "tag"
    word: From = "first"
    """Which scores a word has that is of several tokens: those of its first, or their mean."""
    crf: bool = False
    """Whether tags that follow one another are scored together, by a conditional random field: a
    layer more of the head, that learns which tags go together."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the target that is spread over all tags. Not with crf."""

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if self.crf and self.label_smoothing:
            raise ValueError(
                f"label_smoothing: got {self.label_smoothing} with crf, which judges tags "
                "together; leave one out"
            )
        return self

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        return Purpose(learns="tags", specials=TEXT_SPECIALS)

    def head(self, signal: Signal, target: Target) -> tuple[DenseSpec | CrfSpec, ...]:
        """The blocks that turn `signal`, the last layer's output, into a score for each tag.

        Raises:
            ShapeError: If it is no sequence.
        """
        assert isinstance(target, Tags)
        must_be_sequence("tag", signal)
        dense = DenseSpec(width=len(target.names))
        return (dense, CrfSpec()) if self.crf else (dense,)

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample."""
        assert isinstance(target, Tags)
        return Signal("sequence", (reads.shape[0], len(target.names)))

    def build(self, target: Target) -> Tag:
        """The task for the tags of `target`."""
        assert isinstance(target, Tags)
        return Tag(self, target)


class Tag:
    """Cross-entropy of the softmax of a score for each tag, over all words.

    With a conditional random field, the loss of a text is `-log p` of all its tags together, and
    the count still the words: a loss for each word.

    Args:
        spec: The settings.
        target: The names of the tags.
    """

    higher_is_better = True

    def __init__(self, spec: TagSpec, target: Tags) -> None:
        self.spec = spec
        self.target = target

    @property
    def headline(self) -> str:
        """The F1 of entities; where tags stand alone, the share that is right."""
        return "tag_accuracy" if self.target.scheme == "plain" else "entity_f1"

    def collate(self, samples: TextSamples) -> WordBatch:
        """Samples as a batch."""
        return WordBatch.of(samples)

    def loss(self, network: nn.Module, batch: WordBatch) -> Loss:
        """One forward pass and its loss."""
        y_WK, stream, crf = self._scores(network, batch)
        tags_W = batch.words.tags_W
        assert tags_W is not None, "tags are not known"
        if crf is None:
            loss = F.cross_entropy(
                y_WK, tags_W, reduction="sum", label_smoothing=self.spec.label_smoothing
            )
        else:
            loss = _nats(crf, y_WK, tags_W, batch.words.lengths).sum()
        return finished(loss, loss.new_full((), len(tags_W)), stream)

    def judge(self, network: nn.Module, batch: WordBatch) -> Columns:
        """What the network says of the words of each text.

        `id`, `loss` (the mean over the words, without smoothing), `targets` (words that were
        read) and the columns of `metrics/tagging.py`: `words`, `right`, `actual`, `said`,
        `found`.
        """
        y_WK, _, crf = self._scores(network, batch)
        tags_W = batch.words.tags_W
        assert tags_W is not None, "an evaluation of words whose tags are not known"
        lengths = np.array(batch.words.lengths)
        if crf is None:
            nats_W = F.cross_entropy(y_WK.detach().cpu().double(), tags_W.cpu(), reduction="none")
            nats = _sums(nats_W.numpy(), lengths)
        else:
            nats = np.zeros(len(lengths))
            found = _nats(crf, y_WK, tags_W, batch.words.lengths)
            nats[lengths > 0] = found.detach().cpu().double().numpy()
        return {
            "id": batch.ids.numpy(),
            "loss": nats / np.maximum(lengths, 1),
            "targets": lengths,
            **counted(batch.words, _best(y_WK, crf, batch.words.lengths), self.target),
        }

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """`entity_f1`, `entity_precision`, `entity_recall`, `tag_accuracy`; where tags stand
        alone `tag_accuracy` and `tag_macro_f1`."""
        plain = self.target.scheme == "plain"
        return word_metrics(columns) if plain else entity_metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """By type of entity, or by tag: `types`, a list."""
        return {"types": scores_by_type(columns, types_of(self.target))}

    def predict(self, network: nn.Module, batch: WordBatch, top: int) -> list[dict[str, Any]]:
        """The tags of the words of each text, and the entities that they mark; see `described`.

        There is one answer for each text: `top` changes nothing.
        """
        y_WK, _, crf = self._scores(network, batch)
        said = whole(batch.words, _best(y_WK, crf, batch.words.lengths), self.target)
        return [
            described(text, tags.tolist(), self.target)
            for text, tags in zip(batch.words.texts, said, strict=True)
        ]

    def _scores(self, network: nn.Module, batch: WordBatch) -> tuple[Tensor, Stream, Crf | None]:
        """The scores of the words in float32 at least, the stream, and what joins the tags."""
        crf = last_of_head(network) if self.spec.crf else None
        if self.spec.crf and not isinstance(crf, Crf):
            raise InputError(
                "task.crf: got true, but the network has no layer that the task added; leave "
                "model.head to auto, or set crf: false"
            )
        y_SK, stream = read(network, batch.inputs, whole=crf is None)
        scores = in_float32(batch.words.scores(y_SK, self.spec.word))
        return scores, stream, crf if isinstance(crf, Crf) else None


def _nats(crf: Crf, y_WK: Tensor, tags_W: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """`-log p` of the tags of each text that has words."""
    layout = _chains(lengths, y_WK.device)
    if layout is None:
        return y_WK.sum(1)  # of nothing: no text, but with a gradient
    return crf.nats(y_WK[None], tags_W[None], layout)


def _best(y_WK: Tensor, crf: Crf | None, lengths: tuple[int, ...]) -> np.ndarray:
    """The tag that each word is given."""
    layout = None if crf is None else _chains(lengths, y_WK.device)
    if crf is None or layout is None:
        return y_WK.detach().argmax(1).cpu().numpy()
    return crf.best(y_WK[None], layout)[0].cpu().numpy()


def _chains(lengths: tuple[int, ...], device: torch.device) -> Layout | None:
    """The texts that have words, one after the other."""
    some = [length for length in lengths if length]
    return Layout.packed(some).to(device) if some else None


def _sums(values_W: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The sum over each text."""
    rows_W = np.repeat(np.arange(len(lengths)), lengths)
    return np.bincount(rows_W, values_W, minlength=len(lengths))
