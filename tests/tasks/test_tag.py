"""Tag: its loss written out, whole entities against seqeval, the chain of tags, predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval import metrics as theirs
from seqeval.metrics.sequence_labeling import get_entities
from torch import nn
from toy_texts import CASES, CONTEXT, PLAIN_TAGS, TAGS, VOCAB, Case, text, texts

from luthier.data.purpose import Purpose
from luthier.data.target import Tags
from luthier.data.text.labelled.tagging import entities_in
from luthier.data.text.rows.samples import PADDING, Text, TextSamples
from luthier.errors import InputError, ShapeError, SpecError
from luthier.model.blocks.crf import Crf, CrfSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blueprint import Network
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import parse, plain
from luthier.tasks.tag import TagSpec
from luthier.tasks.words import WordBatch, counted, whole

TAG, MEAN, CRF = CASES["tag"], CASES["tag by mean"], CASES["tag with crf"]


def word_scores(network: Network, one: Text, source: str) -> torch.Tensor:
    """Of each word of a text, read alone; before the chain, where there is one."""
    x = network.features(torch.from_numpy(one.tokens.astype(np.int64))[None], Stream())
    y = next(iter(network.head))(x)[0]
    assert one.words is not None
    rows = []
    for word in range(one.words.max() + 1):
        places = np.flatnonzero(one.words == word)
        rows.append(y[places].mean(0) if source == "mean" else y[places[0]])
    return torch.stack(rows) if rows else y[:0]


@pytest.mark.parametrize("case", [TAG, MEAN, CRF], ids=["first", "mean", "crf"])
def test_the_loss(case: Case) -> None:
    task, network = case.build(), case.network()
    loss = task.loss(network, task.collate(case.samples(range(8))))
    total, count = 0.0, 0
    for number in range(8):
        one = text(number, case.tags)
        y = word_scores(network, one, case.spec.word)
        if not len(y):
            continue
        tags = torch.from_numpy(one.tags.astype(np.int64))
        count += len(tags)
        if case is CRF:
            crf = list(network.head)[1]
            assert isinstance(crf, Crf)
            total += crf.nats(y[None], tags[None]).item()
            continue
        logs, smooth = y.log_softmax(1), case.spec.label_smoothing
        right = logs[range(len(tags)), tags].sum()
        total -= ((1 - smooth) * right + smooth * logs.mean(1).sum()).item()
    assert loss.count.item() == count
    assert loss.sum.item() == pytest.approx(total, rel=1e-12)


def test_the_first_token_is_not_the_mean() -> None:
    """The twin of the proof above."""
    case = Case({"kind": "tag"}, PLAIN_TAGS)
    network, batch = case.network(), case.build().collate(case.samples(range(8)))
    first = case.build().loss(network, batch).sum
    mean = MEAN.build().loss(network, batch).sum
    assert abs((first - mean).item()) > 1e-3


def test_the_chain_gives_the_best_tags() -> None:
    task, network = CRF.build(), CRF.network()
    crf = list(network.head)[1]
    assert isinstance(crf, Crf)
    with torch.no_grad():
        crf.transitions.copy_(torch.randn(5, 5, generator=torch.Generator().manual_seed(1)) * 3)
    found = task.predict(network, task.collate(CRF.samples(range(8))), 1)
    greedy = 0
    for number, answer in enumerate(found):
        y = word_scores(network, text(number), "first")
        if len(y):
            best = crf.best(y[None])[0].tolist()
            assert answer["tags"] == [TAGS.names[tag] for tag in best]
            greedy += y.argmax(1).tolist() == best
    assert greedy < 6  # the transitions do matter


def test_a_batch_without_words() -> None:
    for case in (TAG, CRF, MEAN):
        task, network = case.build(), case.network()
        batch = task.collate(case.samples([1]))  # a first token, and nothing behind it
        loss = task.loss(network, batch)
        assert (loss.sum.item(), loss.count.item()) == (0.0, 0.0)
        loss.sum.backward()
        assert task.judge(network, batch)["loss"].tolist() == [0.0]
        assert task.predict(network, batch, 1)[0]["tags"] == []


# Columns and metrics


def spoken(sentences: list[list[str]], target: Tags) -> WordBatch:
    """Sentences of words of one token each, with their tags."""
    samples = TextSamples(
        texts=[
            Text(
                tokens=np.full(len(tags) + 1, 3, dtype=np.int32),
                words=np.arange(-1, len(tags), dtype=np.int32),
                tags=np.array([target.names.index(tag) for tag in tags], dtype=np.int32),
            )
            for tags in sentences
        ],
        labels=torch.full((len(sentences),), -1),
        ids=torch.arange(len(sentences)),
    )
    return WordBatch.of(samples)


def counts(actual: list[list[str]], said: list[list[str]], target: Tags) -> dict[str, np.ndarray]:
    numbers = np.array([target.names.index(tag) for tags in said for tag in tags], dtype=np.int64)
    return counted(spoken(actual, target).words, numbers, target)


def sentences(names: tuple[str, ...]) -> st.SearchStrategy[list[tuple[str, str]]]:
    tag = st.sampled_from(names)
    return st.lists(st.tuples(tag, tag), min_size=1, max_size=9)


BIOES = Tags(
    names=("O", *(f"{letter}-{kind}" for kind in ("x", "yz") for letter in "BIES")), scheme="BIOES"
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", [TAGS, BIOES], ids=["BIO", "BIOES"])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_entities_are_those_of_seqeval(target: Tags, data: Any) -> None:
    pairs = data.draw(st.lists(sentences(target.names), min_size=1, max_size=5))
    actual = [[left for left, _ in sentence] for sentence in pairs]
    said = [[right for _, right in sentence] for sentence in pairs]
    for tags in actual:
        ours = [(kind, start, stop - 1) for kind, start, stop in entities_in(tags, target.scheme)]
        assert ours == get_entities(tags)
    columns = counts(actual, said, target)
    metrics = TagSpec().build(target).metrics(columns)
    assert metrics["entity_f1"].value == pytest.approx(theirs.f1_score(actual, said))
    assert metrics["entity_precision"].value == pytest.approx(theirs.precision_score(actual, said))
    assert metrics["entity_recall"].value == pytest.approx(theirs.recall_score(actual, said))
    assert metrics["tag_accuracy"].value == pytest.approx(theirs.accuracy_score(actual, said))
    report = theirs.classification_report(actual, said, output_dict=True, zero_division=0)
    for row in TagSpec().build(target).details(columns)["types"]:
        known = report.get(row["type"])
        if known is None:
            assert row["actual"] == row["said"] == 0
            continue
        assert row["actual"] == known["support"]
        for ours, theirs_ in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert (row[ours] or {"value": 0})["value"] == pytest.approx(known[theirs_])


def test_words_that_were_cut_off_are_not_found() -> None:
    one = Text(
        tokens=np.array([2, 7, 8], dtype=np.int32),
        words=np.array([PADDING, 0, 0], dtype=np.int32),
        tags=np.array([1, 2, 0], dtype=np.int32),  # B-x I-x O: only the first word was read
    )
    samples = TextSamples(texts=[one], labels=torch.tensor([-1]), ids=torch.tensor([0]))
    batch = WordBatch.of(samples)
    assert len(batch.words) == 1
    columns = counted(batch.words, np.array([1]), TAGS)
    assert (columns["words"][0], columns["right"][0]) == (3, 2)
    assert columns["actual"].tolist() == [[1, 0]]
    assert columns["found"].tolist() == [[0, 0]]
    plain_tags = whole(batch.words, np.array([1]), PLAIN_TAGS)
    assert plain_tags[0].tolist() == [1, -1, -1]
    assert counted(batch.words, np.array([1]), PLAIN_TAGS)["said"].tolist() == [[0, 1, 0]]


def test_columns() -> None:
    for case in (TAG, MEAN, CRF):
        task, network = case.build(), case.network()
        columns = task.judge(network, task.collate(case.samples(range(8))))
        sharp = Case({**case.task, "label_smoothing": 0.0}, case.target)
        loss = sharp.build().loss(network, task.collate(case.samples(range(8))))
        assert (columns["loss"] * columns["targets"]).sum() == pytest.approx(loss.sum.item())
        assert columns["targets"].sum() == loss.count.item() == columns["words"].sum()
        assert next(iter(task.metrics(columns))) == task.headline
        assert task.higher_is_better


def test_words_whose_tags_stand_alone() -> None:
    task = MEAN.build()
    columns = task.judge(MEAN.network(), task.collate(MEAN.samples(range(8))))
    assert list(task.metrics(columns)) == ["tag_accuracy", "tag_macro_f1"]
    assert [row["type"] for row in task.details(columns)["types"]] == list(PLAIN_TAGS.names)


# What it asks for, and predicts


def test_what_is_said_of_a_text() -> None:
    task, network = TAG.build(), TAG.network()
    one = text(4, TAGS)
    written = [f"w{number}, " for number in range(len(one.tags))]
    asked = Text(tokens=one.tokens, words=one.words, written=written)
    samples = TextSamples(texts=[asked], labels=torch.tensor([-1]), ids=torch.tensor([0]))
    (answer,) = task.predict(network, task.collate(samples), 5)
    tags = word_scores(network, one, "first").argmax(1).tolist()
    assert answer["tags"] == [TAGS.names[tag] for tag in tags]
    expected = [
        {"type": kind, "start": start, "stop": stop, "text": "".join(written[start:stop]).strip()}
        for kind, start, stop in entities_in(answer["tags"], "BIO")
    ]
    assert answer["entities"] == expected
    (plain_answer,) = MEAN.build().predict(MEAN.network(), task.collate(samples), 5)
    assert plain_answer.keys() == {"tags"}


def test_heads_and_purpose() -> None:
    spec, signal = TagSpec(), Signal.of((9, 8))
    assert spec.purpose() == Purpose(learns="tags", specials=("pad",))
    assert spec.head(signal, TAGS) == (DenseSpec(width=5),)
    assert TagSpec(crf=True).head(signal, TAGS) == (DenseSpec(width=5), CrfSpec())
    assert spec.wants(Signal.tokens(9, VOCAB), TAGS) == Signal.of((9, 5))
    with pytest.raises(ShapeError, match="tag reads a sequence, got a vector"):
        spec.head(Signal.of((8,)), TAGS)
    with pytest.raises(ShapeError, match="begin with"):
        spec.head(Signal.tokens(9, VOCAB), TAGS)


def test_settings_that_would_not_be_used() -> None:
    with pytest.raises(SpecError, match=r"label_smoothing: got 0\.1 with crf"):
        parse(TagSpec, {"crf": True, "label_smoothing": 0.1})
    spec = TagSpec(crf=True, word="mean")
    assert parse(TagSpec, plain(spec)) == spec


def test_a_chain_needs_the_layer_of_the_task() -> None:
    task = CRF.build()
    own = nn.Sequential(nn.Embedding(VOCAB, 4), nn.Linear(4, 5)).double()
    network = Network.of(own, Signal.tokens(CONTEXT, VOCAB))
    with pytest.raises(InputError, match="has no layer that the task added"):
        task.loss(network, task.collate(texts([0], TAGS)))


def test_batches_move_whole() -> None:
    batch = TAG.build().collate(TAG.samples(range(3)))
    assert batch.size == 3
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert moved.inputs.device.type == moved.words.first_W.device.type == "meta"
    assert moved.words.tags_W is not None
    assert moved.words.tags_W.device.type == "meta"
    assert moved.ids.device.type == "cpu"
