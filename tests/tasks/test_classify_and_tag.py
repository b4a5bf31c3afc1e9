"""Classify and tag: both losses written out, both kinds of metrics, whole texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_texts import BOTH, CASES, TAGS, VOCAB, Case, text, texts

from luthier.data.purpose import Purpose
from luthier.errors import ShapeError
from luthier.model.blocks.dense import DenseSpec
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import parse, plain
from luthier.tasks.classify_and_tag import ClassifyAndTagSpec

JOINT = CASES["classify and tag"]


def by_hand(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of the classes of a text read alone, and of the tags of its words."""
    one, network = text(number, TAGS), JOINT.network()
    y = network(torch.from_numpy(one.tokens.astype(np.int64))[None], Stream())[0].detach()
    assert one.words is not None
    firsts = [int(np.flatnonzero(one.words == word)[0]) for word in range(one.words.max() + 1)]
    return y[:, 5:].mean(0), y[firsts, :5]


def losses(number: int) -> tuple[float, float]:
    classes, tags = by_hand(number)
    label = int(texts([number]).labels[0])
    actual = torch.from_numpy(text(number, TAGS).tags.astype(np.int64))
    words = -tags.log_softmax(1)[range(len(actual)), actual].mean().item() if len(actual) else 0.0
    return -classes.log_softmax(0)[label].item(), words


def test_the_loss() -> None:
    task, network = JOINT.build(), JOINT.network()
    loss = task.loss(network, task.collate(JOINT.samples(range(8))))
    expected = sum(a + 0.7 * b for a, b in map(losses, range(8)))
    assert loss.count.item() == 8
    assert loss.sum.item() == pytest.approx(expected, rel=1e-12)


def test_a_sum_over_words_is_caught() -> None:
    """The twin: texts with many words would weigh more."""
    expected = sum(a + 0.7 * b * max(len(text(n, TAGS).tags), 1) for n in range(8)
                   for a, b in [losses(n)])  # fmt: skip
    task = JOINT.build()
    loss = task.loss(JOINT.network(), task.collate(JOINT.samples(range(8))))
    assert abs(loss.sum.item() - expected) > 1e-2


def test_two_heads_in_one() -> None:
    """The mean of the scores is the score of the mean: a pooled head of its own."""
    network, one = JOINT.network(), text(2)
    x = network.features(torch.from_numpy(one.tokens.astype(np.int64))[None], Stream())
    (dense,) = network.head
    pooled = dense(x.mean(1))[0, 5:]
    torch.testing.assert_close(pooled, by_hand(2)[0], rtol=1e-12, atol=1e-14)


def test_columns_and_metrics() -> None:
    task, network = JOINT.build(), JOINT.network()
    columns = task.judge(network, task.collate(JOINT.samples(range(8))))
    for number in range(8):
        classes, tags = by_hand(number)
        a, b = losses(number)
        assert columns["loss"][number] == pytest.approx(a + 0.7 * b, rel=1e-12)
        assert columns["predicted"][number] == classes.argmax()
        right = tags.argmax(1).numpy() == text(number, TAGS).tags
        assert columns["right"][number] == right.sum()
        label = int(texts([number]).labels[0])
        assert columns["whole"][number] == (right.all() and int(classes.argmax()) == label)
    metrics = task.metrics(columns)
    assert next(iter(metrics)) == task.headline == "frame_accuracy"
    assert {"accuracy", "macro_f1", "entity_f1", "tag_accuracy", "log_loss"} <= metrics.keys()
    details = task.details(columns)
    assert [row["type"] for row in details["types"]] == ["x", "y"]
    assert details["classes"] == ["ant", "bee", "cow"]


def test_predictions() -> None:
    task, network = JOINT.build(), JOINT.network()
    found = task.predict(network, task.collate(texts(range(8))), 2)
    for number, answer in enumerate(found):
        classes, tags = by_hand(number)
        assert answer["label"] == BOTH.labels.names[int(classes.argmax())]
        assert len(answer["top"]) == 2
        assert answer["tags"] == [TAGS.names[tag] for tag in tags.argmax(1)]


def test_smoothing_is_of_both() -> None:
    soft = Case({"kind": "classify_and_tag", "label_smoothing": 0.3}, BOTH)
    hard = Case({"kind": "classify_and_tag"}, BOTH)
    batch, network = hard.build().collate(hard.samples([4])), hard.network()
    found = soft.build().loss(network, batch).sum - hard.build().loss(network, batch).sum
    classes, tags = by_hand(4)
    label = int(texts([4]).labels[0])
    actual = torch.from_numpy(text(4, TAGS).tags.astype(np.int64))
    logs, words = classes.log_softmax(0), tags.log_softmax(1)
    extra = 0.3 * (logs[label] - logs.mean())
    extra += 0.3 * (words[range(len(actual)), actual] - words.mean(1)).mean()
    assert found.item() == pytest.approx(extra.item(), rel=1e-9)


def test_head_and_purpose() -> None:
    spec = ClassifyAndTagSpec(tag_weight=2.0, word="mean")
    assert parse(ClassifyAndTagSpec, plain(spec)) == spec
    assert spec.purpose() == Purpose(learns="labels_and_tags", specials=("pad",))
    assert spec.head(Signal.of((9, 8)), BOTH) == (DenseSpec(width=8),)
    assert spec.wants(Signal.tokens(9, VOCAB), BOTH) == Signal.of((9, 8))
    with pytest.raises(ShapeError, match="classify_and_tag reads a sequence, got a vector"):
        spec.head(Signal.of((8,)), BOTH)
