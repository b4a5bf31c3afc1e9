"""Extract: the span of a context that answers a question, or that there is none.

Dimension key, for the whole file:
    N  questions      S  tokens of all windows      T  places of a context: no answer, its tokens
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from luthier.data.purpose import Purpose
from luthier.data.target import Spans, Target
from luthier.data.text.questions.question_examples import QuestionSamples
from luthier.metrics.extraction import best_threshold, exact_match, extraction_metrics, f1
from luthier.metrics.interval import Metric
from luthier.model.blocks.dense import DenseSpec
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import Spec
from luthier.tasks.classify import context_share
from luthier.tasks.forward import finished, in_float32, must_be_sequence
from luthier.tasks.spans import NOTHING, QuestionBatch, Span, around, best_spans, references
from luthier.tasks.task import Columns, Loss
from luthier.tasks.texts import read

SHOWN = 80
"""Characters on each side of an answer that are kept for people."""


class ExtractSpec(Spec):
    """The span of a context that answers a question: question answering as in SQuAD."""

    kind: Literal["extract"] = "extract"
    longest_answer: int | None = Field(default=None, ge=1)
    """The most tokens of an answer that is given; none means as many as the longest answer of the
    training data has."""

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        return Purpose(learns="answers", specials=("pad", "first"))

    def head(self, signal: Signal, target: Target) -> tuple[DenseSpec]:
        """The block that turns `signal`, the last layer's output, into two scores at each token:
        that an answer begins there, and that it ends there.

        Raises:
            ShapeError: If it is no sequence.
        """
        must_be_sequence(self.kind, signal)
        return (DenseSpec(width=2),)

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample."""
        return Signal("sequence", (reads.shape[0], 2))

    def build(self, target: Target) -> Extract:
        """The task for answers as `target` describes them."""
        assert isinstance(target, Spans)
        return Extract(self, target)


class Extract:
    """Two cross-entropies: of the token that an answer begins with, and of the one that ends it.

    Each is over the whole context: a token is scored in one of the windows, and the softmax is over
    the scores of all tokens, in whichever windows. So a question has one loss, and counts the same
    however long its context is; and the scores of two windows can be compared, since they learned
    to. Where people answered differently, any of their answers is right: the loss is that of the
    probability of all of them together.

    Where a context may have no answer, the first token of a window stands for that.

    Args:
        spec: The settings.
        target: How answers are compared, and whether there may be none.

    Source:
        Devlin et al. 2019 (BERT), 1810.04805, sections 4.2 and 4.3: two scores a token, and the
        first token for no answer. Clark and Gardner 2018, 1710.10723, section 3: one softmax over
        all parts of a document, and the sum over several right answers.
    """

    headline = "f1"
    higher_is_better = True

    def __init__(self, spec: ExtractSpec, target: Spans) -> None:
        self.spec = spec
        self.target = target
        self.longest = spec.longest_answer or target.longest

    def collate(self, samples: QuestionSamples) -> QuestionBatch:
        """Samples as a batch."""
        return QuestionBatch.of(samples)

    def loss(self, network: nn.Module, batch: QuestionBatch) -> Loss:
        """One forward pass and its loss."""
        y_NT2, stream = self._scores(network, batch)
        loss = _nats(y_NT2, batch).sum()
        return finished(loss, loss.new_full((), batch.size), stream, context_share(network))

    def judge(self, network: nn.Module, batch: QuestionBatch) -> Columns:
        """What the network answers to each question.

        `id`, `loss`, `f1` and `exact_match` (of what it says), `answerable`, `question`, `truth`
        (the first reference), `answer`, `start`, `end`, `probability`, `passage` (the context
        around the answer). Where there may be none, `margin` (by how much that is worth more than
        the best span) and `span_f1` (of that span, whether it is said or not).
        """
        y_NT2 = self._scores(network, batch)[0].detach().cpu().double()
        nats_N = _nats(y_NT2, batch)
        rows = []
        for one, log_p_T2 in zip(batch.asked, _log_p(y_NT2, batch), strict=True):
            [span] = best_spans(log_p_T2[1:], one, longest=self.longest, count=1)
            margin = float(log_p_T2[NOTHING].sum()) - span.nats
            said = self._said(span, margin)
            known = references(one)
            row = {
                "f1": f1(said.text, known, self.target.rules),
                "exact_match": exact_match(said.text, known, self.target.rules),
                "answerable": bool(known),
                "question": one.row.question,
                "truth": known[0] if known else "",
                "answer": said.text,
                "start": said.start,
                "end": said.end,
                "probability": float(np.exp(said.nats)),
                "passage": around(one.row.context, span.start, span.end, SHOWN),
            }
            if self.target.unanswerable:
                row |= {"margin": margin, "span_f1": f1(span.text, known, self.target.rules)}
            rows.append(row)
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return {"id": batch.ids.numpy(), "loss": nats_N.numpy(), **columns}

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """`f1` and `exact_match`; see `extraction_metrics`."""
        return extraction_metrics(columns)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """How answers were compared, and from where on none is given; JSON-ready."""
        return {"rules": self.target.rules, "threshold": self.target.threshold}

    @property
    def is_settled(self) -> bool:
        """Whether an answer is always given, so that no threshold is needed."""
        return not self.target.unanswerable

    def settled(self, columns: Mapping[str, np.ndarray]) -> Spans:
        """The target with the threshold that gives the best F1 on some questions.

        Args:
            columns: What was said of them.
        """
        threshold, _ = best_threshold(
            columns["margin"], columns["span_f1"], columns["answerable"].astype(bool)
        )
        return self.target.model_copy(update={"threshold": threshold})

    def predict(self, network: nn.Module, batch: QuestionBatch, top: int) -> list[dict[str, Any]]:
        """The answer to each question.

        `text`, `start` and `end` (characters of the context, `end` behind the last one), `score`
        (its probability), and `top`, a list of the likeliest; where there may be no answer
        `no_answer`, its probability. Where none is given, `text` is empty, `start` and `end` null.
        """
        y_NT2 = self._scores(network, batch)[0].detach().cpu().double()
        found = []
        for one, log_p_T2 in zip(batch.asked, _log_p(y_NT2, batch), strict=True):
            spans = best_spans(log_p_T2[1:], one, longest=self.longest, count=top)
            nothing = float(log_p_T2[NOTHING].sum())
            said = self._said(spans[0], nothing - spans[0].nats)
            answer = {**_described(said), "top": [_described(span) for span in spans]}
            if self.target.unanswerable:
                answer["no_answer"] = float(np.exp(nothing))
            found.append(answer)
        return found

    def _said(self, span: Span, margin: float) -> Span:
        """The best span; or nothing, where that is worth enough more."""
        if not self.target.unanswerable or margin <= self.target.threshold:
            return span
        return Span("", -1, -1, span.nats + margin)

    def _scores(self, network: nn.Module, batch: QuestionBatch) -> tuple[Tensor, Stream]:
        """The scores of each context, and the stream of the pass."""
        y_S2, stream = read(network, batch.inputs)
        return batch.scores(in_float32(y_S2), unanswerable=self.target.unanswerable), stream


def _nats(y_NT2: Tensor, batch: QuestionBatch) -> Tensor:
    """`(N,)`, the mean of the two cross-entropies of each question."""
    right_NT2 = batch.right(y_NT2.shape[1])
    right_N2 = y_NT2.masked_fill(~right_NT2, float("-inf")).logsumexp(1)
    return (y_NT2.logsumexp(1) - right_N2).mean(1)


def _log_p(y_NT2: Tensor, batch: QuestionBatch) -> list[np.ndarray]:
    """Of each question, the logarithms of the probabilities of its places."""
    log_p_NT2 = torch.log_softmax(y_NT2, 1).numpy()
    return [log_p_NT2[row, : 1 + length] for row, length in enumerate(batch.lengths)]


def _described(span: Span) -> dict[str, Any]:
    where = (None, None) if span.start < 0 else (span.start, span.end)
    return {
        "text": span.text,
        "start": where[0],
        "end": where[1],
        "score": float(np.exp(span.nats)),
    }
