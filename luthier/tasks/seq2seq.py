"""Sequence to sequence: a text for each input, by an encoder and a decoder.

Dimension key, for the whole file:
    B  rows      T  positions      N  tokens that are to be written      V  vocab      D  width
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.data.pairs.pair_examples import PairSamples
from luthier.data.purpose import Purpose
from luthier.data.target import Target, Written
from luthier.errors import InputError
from luthier.metrics.interval import Metric
from luthier.metrics.language import language_metrics
from luthier.metrics.written import (
    Suite,
    each_written,
    signatures,
    written_metrics,
)
from luthier.model.blocks.unembed import Unembed, UnembedSpec
from luthier.model.blueprint import Network
from luthier.model.linear_cross_entropy import (
    Scoring,
    cross_entropy,
    linear_cross_entropy,
    linear_nats,
    nats_of,
)
from luthier.model.stream import Source, Stream
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.beam import Found, Search, beam_search
from luthier.tasks.forward import (
    before_last,
    finished,
    forward,
    in_float32,
    last_of_head,
    must_be_sequence,
)
from luthier.tasks.pair_batch import PairBatch, decoding, encoded
from luthier.tasks.task import Columns, Loss


class Seq2SeqSpec(Spec):
    """A text for each input: its translation, its summary, its title."""

    kind: Literal["seq2seq"] = "seq2seq"
    metrics: Suite = "translation"
    """What is measured of what is written: translation has BLEU and chrF of sacreBLEU; summary
    has ROUGE. Needs the text extra."""
    beams: int = Field(default=4, ge=1, le=64)
    """Texts that are written side by side where one is searched for, in an evaluation and a
    prediction: the best one counts. 1 takes the likeliest token each time."""
    length_penalty: float = Field(default=1.0, ge=0, le=10)
    """The logarithm of a text's probability is divided by its length to the power of this: above
    0, longer texts lose less."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """The share of the target that is spread over all tokens, in training."""

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        return Purpose(learns="pairs", specials=("end",))

    def head(self, signal: Signal, target: Target) -> tuple[UnembedSpec, ...]:
        """The block that turns `signal`, the last layer's output, into a score for each token.

        Raises:
            ShapeError: If it is no sequence.
        """
        assert isinstance(target, Written)
        must_be_sequence("seq2seq", signal)
        return (UnembedSpec(vocab=target.vocab),)

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample."""
        assert isinstance(target, Written)
        return Signal("sequence", (target.context, target.vocab))

    def build(self, target: Target) -> Seq2Seq:
        """The task for the vocabulary of `target`."""
        assert isinstance(target, Written)
        return Seq2Seq(self, target)


class Seq2Seq:
    """Cross-entropy of each token of what is to be written, after those before it (teacher
    forcing); measured by what a beam search writes.

    Args:
        spec: The settings.
        target: The vocabulary of what is written.
        writes: Whether texts are written where it measures; else only its loss is.
    """

    def __init__(self, spec: Seq2SeqSpec, target: Written, *, writes: bool = True) -> None:
        self.spec = spec
        self.target = target
        self.writes = writes

    @property
    def headline(self) -> str:
        """Of what is written; the loss, where nothing is."""
        if not self.writes:
            return "loss"
        return "bleu" if self.spec.metrics == "translation" else "rouge_l"

    @property
    def higher_is_better(self) -> bool:
        """Whether the headline is no loss."""
        return self.writes

    def while_training(self) -> Seq2Seq:
        """The same, which measures only the loss: a text takes a pass for each token."""
        return Seq2Seq(self.spec, self.target, writes=False)

    def with_beams(self, beams: int) -> Seq2Seq:
        """The same with other beams."""
        spec = self.spec.model_copy(update={"beams": beams})
        return Seq2Seq(spec, self.target, writes=self.writes)

    def collate(self, samples: PairSamples) -> PairBatch:
        """Pairs to learn from as a batch; or sources that somebody asks about."""
        return PairBatch.of(samples, self.target)

    def loss(self, network: nn.Module, batch: PairBatch) -> Loss:
        """One forward pass over both sides, and its loss."""
        assert batch.targets_N is not None, "a loss of what is not known"
        source, stream = encoded(_pair(network), batch)
        x_ND, last, stream = self._answered(_pair(network), batch, source, stream)
        smoothing = self.spec.label_smoothing
        if last is not None:
            scoring = Scoring(softcap=last.spec.softcap, label_smoothing=smoothing)
            loss, _ = linear_cross_entropy(x_ND, last.weight, last.added, batch.targets_N, scoring)
        else:
            scoring = Scoring(label_smoothing=smoothing)
            loss, _ = cross_entropy(x_ND, batch.targets_N, scoring)
        return finished(loss, loss.new_full((), len(batch.targets_N)), stream)

    def judge(self, network: nn.Module, batch: PairBatch) -> Columns:
        """How well what is right was predicted, and what is written.

        `id`, `loss` (nats, the mean over the tokens, without smoothing), `targets` (tokens),
        `nats` (their sum) and `correct` (tokens that were the likeliest). Where texts are written,
        `source`, `output`, `reference`, `others` and the scores of each; see
        `metrics/written.py`.
        """
        assert batch.targets_N is not None, "an evaluation of what is not known"
        assert batch.read is not None
        source, stream = encoded(_pair(network), batch)
        x_ND, last, _ = self._answered(_pair(network), batch, source, stream)
        if last is not None:
            nats_N, right_N = linear_nats(
                x_ND, last.weight, last.added, batch.targets_N, last.spec.softcap
            )
        else:
            nats_N, right_N = nats_of(x_ND, batch.targets_N)
        lengths = np.array(batch.read.lengths)
        rows = np.repeat(np.arange(batch.size), lengths)
        nats = np.bincount(rows, nats_N.detach().cpu().double().numpy(), minlength=batch.size)
        columns: dict[str, np.ndarray] = {
            "id": batch.ids.numpy(),
            "loss": nats / lengths,
            "targets": lengths,
            "nats": nats,
            "correct": np.bincount(rows, right_N.cpu().numpy(), minlength=batch.size).astype(
                np.int64
            ),
        }
        if self.writes:
            columns |= self._written(_pair(network), batch, source)
        return columns

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """What texts that were written are worth, where there are any; `loss` in nats a token,
        `perplexity` and `accuracy` of tokens."""
        written = written_metrics(columns, self.spec.metrics) if self.writes else {}
        return written | language_metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How metrics were made: `signatures`; and `beams` and `length_penalty`."""
        if not self.writes:
            return {}
        return {
            "signatures": signatures(columns, self.spec.metrics),
            "beams": self.spec.beams,
            "length_penalty": self.spec.length_penalty,
        }

    def predict(self, network: nn.Module, batch: PairBatch, top: int) -> list[dict[str, Any]]:
        """What is written of each source: `output`, and `top`, a list of the best ones with the
        `score` that they were chosen by: the logarithm of the probability, by the length."""
        source, _ = encoded(_pair(network), batch)
        answers = []
        for found in self._search(_pair(network), source):
            texts = [
                {"output": batch.tokenizer.decode(one.tokens), "score": one.score}
                for one in found[:top]
            ]
            answers.append({"output": texts[0]["output"], "top": texts})
        return answers

    def _answered(
        self, network: Network, batch: PairBatch, source: Source, stream: Stream
    ) -> tuple[Tensor, Unembed | None, Stream]:
        """What the last block reads at each token, `(N, D)`, and that block; without one to be
        spared, the scores `(N, V)`."""
        assert batch.read is not None
        x_BT, stream = decoding(batch.read, source, stream)
        last = last_of_head(network)
        if isinstance(last, Unembed):
            return before_last(network, x_BT, stream).flatten(0, 1), last, stream
        return in_float32(forward(network, x_BT, stream).flatten(0, 1)), None, stream

    def _search(self, network: Network, source: Source) -> list[list[Found]]:
        """The best texts of each source."""
        spec, target = self.spec, self.target
        search = Search(
            beams=spec.beams,
            length_penalty=spec.length_penalty,
            most=target.context,
            opening=target.opening,
            end=target.end,
            forced=target.forced,
            suppressed=target.suppressed,
            suppressed_first=target.suppressed_first,
        )
        with torch.no_grad():
            return beam_search(network, source, search)

    def _written(self, network: Network, batch: PairBatch, source: Source) -> Columns:
        """What is written of each source, and what it is worth."""
        assert batch.rows is not None
        outputs = [
            batch.tokenizer.decode(found[0].tokens) for found in self._search(network, source)
        ]
        right = [row.references for row in batch.rows]
        columns = {
            "source": np.array([row.source for row in batch.rows], dtype=np.str_),
            "output": np.array(outputs, dtype=np.str_),
            "reference": np.array([row.target for row in batch.rows], dtype=np.str_),
            "others": np.array([json.dumps(row.others) for row in batch.rows], dtype=np.str_),
        }
        return columns | each_written(outputs, right, self.spec.metrics)


def _pair(network: nn.Module) -> Network:
    """The network, which has an encoder.

    Raises:
        InputError: If it has none.
    """
    if not isinstance(network, Network) or network.encoder is None:
        raise InputError(
            "model: seq2seq wants a network with an encoder and a decoder; give model.encoder and "
            "model.decoder, or a family that has both, such as {kind: transformer, depth: 3}"
        )
    return network
