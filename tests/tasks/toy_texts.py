"""Texts of different lengths, tasks of each kind and small networks for them, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from luthier.data.target import Documents, Labels, LabelsAndTags, Spans, Tags, Target
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.questions.asked import Encoded, Special, asked
from luthier.data.text.questions.question_examples import QuestionSamples
from luthier.data.text.questions.question_row import Answer, QuestionRow
from luthier.data.text.rows.samples import PADDING, RowSamples, Text, TextSamples
from luthier.data.text.tokens.pieces import Spelled
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.tasks import TaskSpec

VOCAB, CONTEXT, MASK = 23, 12, 1
LENGTHS = (5, 1, 9, 3, 12, 2, 7, 4)
CLASSES = Labels(names=("ant", "bee", "cow"), counts=(3, 3, 2))
TAGS = Tags(names=("O", "B-x", "I-x", "B-y", "I-y"))
PLAIN_TAGS = Tags(names=("noun", "verb", "sign"), scheme="plain")
DOCUMENTS = Documents(vocab=VOCAB, specials={"pad": 0, "mask": MASK})
ANSWERS = Spans(longest=3, unanswerable=True, rules="cmrc")
BOTH = LabelsAndTags(labels=CLASSES, tags=TAGS)

LAYERS: tuple[dict[str, Any], ...] = (
    {"kind": "tokens", "width": 8, "position": "learned"},
    {"kind": "attention", "heads": 2, "causal": False, "position": "rotary"},
    {"kind": "recurrent", "width": 12, "bidirectional": True},
)
CAUSAL: tuple[dict[str, Any], ...] = (
    {"kind": "tokens", "width": 8},
    {"kind": "attention", "heads": 2, "position": "rotary"},
    {"kind": "recurrent", "width": 12},
)
MOE: tuple[dict[str, Any], ...] = (
    *LAYERS[:2],
    {"kind": "moe", "experts": 4, "ratio": 1.0, "balance": 0.3},
)


@dataclass(frozen=True)
class Case:
    """A task, what it is built for, and the layers of a network for it."""

    task: dict[str, Any]
    target: Target
    layers: tuple[dict[str, Any], ...] = LAYERS

    @property
    def spec(self) -> Any:
        return TypeAdapter(TaskSpec).validate_python(self.task)

    def build(self) -> Any:
        return self.spec.build(self.target)

    def network(self, layers: Sequence[dict[str, Any]] = (), seed: int = 1) -> Network:
        blocks = LayersSpec.model_validate({"layers": [*(layers or self.layers)]})
        reads = Signal.tokens(CONTEXT, VOCAB)
        made = build(blocks, reads, lambda gives: self.spec.head(gives, self.target))
        assert made.gives == self.spec.wants(reads, self.target)
        materialize(made, seed=seed, spec=blocks.initialize, dtype=torch.float64)
        return made

    def samples(self, ids: Sequence[int]) -> Any:
        if isinstance(self.target, Documents):
            return rows(ids, ahead=self.spec.purpose().ahead)
        if isinstance(self.target, Spans):
            return questions(ids)
        return texts(ids, tags=self.tags)

    @property
    def tags(self) -> Tags | None:
        if isinstance(self.target, LabelsAndTags):
            return self.target.tags
        return self.target if isinstance(self.target, Tags) else None


CASES = {
    "classify": Case({"kind": "classify", "class_weights": "balanced"}, CLASSES),
    "next token": Case({"kind": "language", "z_loss": 0.01}, DOCUMENTS, CAUSAL),
    "masked": Case({"kind": "language", "objective": "masked", "mask_rate": 0.4}, DOCUMENTS),
    "whole words": Case(
        {"kind": "language", "objective": "masked", "whole_words": True, "label_smoothing": 0.1},
        DOCUMENTS,
    ),
    "tag": Case({"kind": "tag", "label_smoothing": 0.1}, TAGS),
    "tag by mean": Case({"kind": "tag", "word": "mean"}, PLAIN_TAGS),
    "tag with crf": Case({"kind": "tag", "crf": True}, TAGS),
    "classify and tag": Case({"kind": "classify_and_tag", "tag_weight": 0.7}, BOTH),
    "extract": Case({"kind": "extract"}, ANSWERS),
    "mixture of experts": Case({"kind": "classify"}, CLASSES, MOE),
    "mixture of experts, masked": Case(
        {"kind": "language", "objective": "masked", "z_loss": 0.1}, DOCUMENTS, MOE
    ),
}
TEXT_CASES = {name: case for name, case in CASES.items() if case.target is not DOCUMENTS}


def text(number: int, tags: Tags | None = None) -> Text:
    """A first token, then words of one to three tokens; tag and class can be told from them."""
    generator = np.random.default_rng(number)
    length = LENGTHS[number % len(LENGTHS)]
    tokens = generator.integers(3, VOCAB, length).astype(np.int32)
    tokens[0] = 2
    words = np.full(length, PADDING, dtype=np.int32)
    begins = generator.random(max(length - 1, 0)) < 0.6
    begins[:1] = True
    words[1:] = np.cumsum(begins) - 1
    known = None
    if tags is not None:
        known = tokens[1:][begins] % len(tags.names)
    return Text(tokens=tokens, words=words, tags=known)


def texts(ids: Sequence[int], tags: Tags | None = None) -> TextSamples:
    return TextSamples(
        texts=[text(number, tags) for number in ids],
        labels=torch.tensor([int(text(number).tokens.sum()) % 3 for number in ids]),
        ids=torch.tensor(ids),
    )


CONTEXT_LENGTHS = (5, 1, 17, 3, 9, 2, 26, 4)
"""Tokens of the contexts of questions: of one window, of two, of several."""
FORM = TextForm(context=CONTEXT, framed=True, pairs=True, overlap=3)


def question(number: int, form: TextForm = FORM, *, known: bool = True) -> QuestionSamples:
    """A question of two tokens about a context of which each character is a token."""
    generator = np.random.default_rng(500 + number)
    length = CONTEXT_LENGTHS[number % len(CONTEXT_LENGTHS)]
    tokens = generator.integers(3, VOCAB, length).astype(np.int32)
    text = "".join(chr(ord("a") + token) for token in tokens)
    start = int(generator.integers(length))
    said = text[start : start + 1 + int(generator.integers(3))]
    found = () if number % 8 == 3 else (Answer(said, start),)
    places = np.arange(length)
    asking = generator.integers(3, VOCAB, 2).astype(np.int32)
    encoded = Encoded(
        rows=[QuestionRow(f"question {number}", f"which {number}?", text, found)],
        questions=[Spelled(asking, np.arange(2), np.arange(2))],
        contexts=[Spelled(tokens, places, places + 1)],
    )
    one = asked(encoded, 0, Special(first=2, separator=1), form, known=known)
    return QuestionSamples(asked=[one], ids=torch.tensor([number]))


def questions(ids: Sequence[int], form: TextForm = FORM) -> QuestionSamples:
    found = [question(number, form).asked[0] for number in ids]
    return QuestionSamples(asked=found, ids=torch.tensor(ids))


def document(number: int) -> np.ndarray:
    generator = np.random.default_rng(1000 + number)
    return generator.integers(3, VOCAB, LENGTHS[number % len(LENGTHS)])


def rows(
    ids: Sequence[int], ahead: int = 1, documents: Sequence[Sequence[int]] | None = None
) -> RowSamples:
    """Rows with the documents of each; none means document n in row n."""
    size = CONTEXT + ahead
    held = [[number] for number in ids] if documents is None else documents
    tokens = np.zeros((len(held), size), dtype=np.int64)
    numbers = np.full((len(held), size), PADDING, dtype=np.int64)
    for row, inside in enumerate(held):
        start = 0
        for number, name in enumerate(inside):
            part = document(name)
            tokens[row, start : start + len(part)] = part
            numbers[row, start : start + len(part)] = number
            start += len(part)
    return RowSamples(
        tokens_BS=torch.from_numpy(tokens),
        documents_BS=torch.from_numpy(numbers),
        bytes_BS=torch.from_numpy(tokens % 4),
        words_BS=torch.from_numpy(tokens % 2),
        ids=torch.tensor(ids),
        seed=3,
        epoch=1,
    )


class Padded(nn.Module):
    """Somebody's own module: reads one text a row, and sees from the padding where it ends."""

    def __init__(self, inner: Network) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x_NT: Tensor) -> Tensor:
        lengths = (x_NT != 0).sum(1).clamp(min=1).tolist()
        layout = Layout.rows_of([[length] for length in lengths], x_NT.shape[1])
        y: Tensor = self.inner(x_NT, Stream(layout=layout))
        return y


def gradient(network: nn.Module, loss_sum: Tensor) -> Tensor:
    """All gradients in one vector."""
    grads = torch.autograd.grad(loss_sum, list(network.parameters()), allow_unused=True)
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for p, g in zip(network.parameters(), grads, strict=True)
        ]
    )


def farthest(left: Tensor, right: Tensor) -> float:
    return float((left - right).detach().abs().max())
