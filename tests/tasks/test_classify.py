"""Classify: its loss against formulas written out, its columns, its head, its messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from luthier.data.examples import Samples
from luthier.data.target import Labels
from luthier.errors import ShapeError, SpecError
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.pool import GlobalPoolSpec
from luthier.signal import Signal
from luthier.spec import parse, plain
from luthier.tasks import TaskSpec
from luthier.tasks.classify import Classify, ClassifyBatch, ClassifySpec

CLASSES = ("ant", "bee", "cow", "dog")
COUNTS = (10, 30, 0, 60)
LABELLED = Labels(names=CLASSES, counts=COUNTS)


def task(**settings: Any) -> Classify:
    return ClassifySpec(**settings).build(LABELLED)


def scores(rows: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return 3 * torch.randn(rows, 4, dtype=torch.float64, generator=generator)


def batch(inputs: Tensor, targets: Tensor) -> ClassifyBatch:
    return ClassifyBatch(inputs, targets, torch.arange(len(inputs)))


def by_hand(y: Tensor, shares: Tensor, weights: Tensor, smoothing: float) -> tuple[float, float]:
    """Sum and count, one row after the other."""
    loss_sum = count = 0.0
    for scores, share in zip(y.tolist(), shares.tolist(), strict=True):
        logs = np.array(scores) - np.log(np.exp(scores).sum())
        smooth = (1 - smoothing) * np.array(share) + smoothing / 4
        loss_sum -= float((weights.numpy() * smooth * logs).sum())
        count += float((weights.numpy() * np.array(share)).sum())
    return loss_sum, count


LABELS = torch.tensor([0, 1, 2, 3, 3, 1])
SHARES = torch.tensor(
    [
        [0.5, 0.5, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 0.25, 0.75],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0.1, 0.9, 0, 0],
    ]
)
ONE_HOT = nn.functional.one_hot(LABELS, 4).float()
BALANCED = torch.tensor([100 + 1, 100 + 1, 100 + 1, 100 + 1]) / (
    4 * torch.tensor([10.0, 30.0, 1.0, 60.0], dtype=torch.float64)
)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", [LABELS, ONE_HOT, SHARES], ids=["labels", "one hot", "shares"])
@pytest.mark.parametrize(
    ("given_weights", "weights"),
    [
        ("none", torch.ones(4)),
        ("balanced", BALANCED),
        ({"bee": 2.0, "dog": 0.5}, torch.tensor([1, 2, 1, 0.5])),
    ],
    ids=["none", "balanced", "named"],
)
def test_the_loss(smoothing: float, targets: Tensor, given_weights: Any, weights: Tensor) -> None:
    ours = task(label_smoothing=smoothing, class_weights=given_weights)
    loss = ours.loss(nn.Identity(), batch(scores(), targets))
    shares = (ONE_HOT if targets.ndim == 1 else targets).double()
    loss_sum, count = by_hand(scores(), shares, weights.double(), smoothing)
    assert loss.sum.item() == pytest.approx(loss_sum, rel=1e-7)
    assert loss.count.item() == pytest.approx(count, rel=1e-7)


def test_the_mean_is_that_of_torch() -> None:
    ours = task(class_weights={"bee": 2.0, "dog": 0.5}, label_smoothing=0.2)
    loss = ours.loss(nn.Identity(), batch(scores(), LABELS))
    weights = torch.tensor([1, 2, 1, 0.5], dtype=torch.float64)
    theirs = nn.functional.cross_entropy(scores(), LABELS, weights, label_smoothing=0.2)
    torch.testing.assert_close(loss.sum / loss.count, theirs, rtol=1e-13, atol=0)


def test_the_loss_of_half_precision_is_computed_in_float32() -> None:
    loss = task().loss(nn.Identity(), batch(scores().bfloat16(), LABELS))
    assert loss.sum.dtype == torch.float32
    assert loss.count.dtype == torch.float32


def test_balanced_without_counts_cannot_be_trained_but_measured() -> None:
    ours = ClassifySpec(class_weights="balanced").build(Labels(names=CLASSES))
    assert len(ours.predict(nn.Identity(), batch(scores(), LABELS), 3)) == 6
    with pytest.raises(AssertionError, match="need the training rows of each class"):
        ours.loss(nn.Identity(), batch(scores(), LABELS))


def test_columns() -> None:
    y, labels = scores(), LABELS
    columns = task(top_k=3, label_smoothing=0.1).judge(nn.Identity(), batch(y, labels))
    p = y.softmax(1)
    np.testing.assert_array_equal(columns["id"], np.arange(6))
    np.testing.assert_array_equal(columns["label"], labels)
    np.testing.assert_array_equal(columns["predicted"], p.argmax(1))
    np.testing.assert_allclose(columns["probability"], p.amax(1), rtol=1e-13)
    np.testing.assert_allclose(columns["probability_of_label"], p[range(6), labels], rtol=1e-13)
    np.testing.assert_array_equal(columns["top"], p.argsort(1, descending=True)[:, :3])
    np.testing.assert_allclose(
        columns["top_probability"], p.sort(1, descending=True).values[:, :3], rtol=1e-13
    )
    expected = [by_hand(y[i : i + 1], ONE_HOT[i : i + 1], torch.ones(4), 0.1)[0] for i in range(6)]
    np.testing.assert_allclose(columns["loss"], expected, rtol=1e-12)
    assert (columns["loss"].dtype, columns["id"].dtype) == (np.float64, np.int64)


@given(rows=st.integers(1, 9), cut=st.integers(1, 8))
def test_columns_of_parts_are_parts_of_the_columns(rows: int, cut: int) -> None:
    y, labels = scores(rows), torch.arange(rows) % 4
    whole = task().judge(nn.Identity(), ClassifyBatch(y, labels, torch.arange(rows)))
    pieces = [
        task().judge(nn.Identity(), ClassifyBatch(y[a : a + cut], labels[a : a + cut],
                                                    torch.arange(rows)[a : a + cut]))
        for a in range(0, rows, cut)
    ]  # fmt: skip
    for name, column in whole.items():
        np.testing.assert_array_equal(np.concatenate([piece[name] for piece in pieces]), column)


def test_metrics_and_details() -> None:
    y, labels = scores(), LABELS
    ours = task(top_k=2)
    columns = ours.judge(nn.Identity(), batch(y, labels))
    metrics = ours.metrics(columns)
    assert next(iter(metrics)) == ours.headline == "accuracy"
    assert "top_2_accuracy" in metrics
    assert metrics["accuracy"].value == pytest.approx(float((y.argmax(1) == labels).float().mean()))
    assert metrics["log_loss"].value == pytest.approx(columns["loss"].mean())
    assert ours.details(columns)["classes"] == list(CLASSES)
    assert ours.higher_is_better


def test_predictions() -> None:
    found = task().predict(nn.Identity(), batch(scores(2), LABELS), 10)
    p = scores(2).softmax(1)
    for row, prediction in enumerate(found):
        assert prediction["label"] == CLASSES[int(p[row].argmax())]
        assert prediction["probability"] == pytest.approx(float(p[row].max()))
        assert [one["label"] for one in prediction["top"]] == [
            CLASSES[k] for k in p[row].argsort(descending=True)
        ]
        assert sum(one["probability"] for one in prediction["top"]) == pytest.approx(1.0)
    many = ClassifySpec().build(Labels(names=tuple(str(k) for k in range(50))))
    assert (
        len(many.predict(nn.Identity(), batch(torch.zeros(1, 50), LABELS[:1]), 10)[0]["top"]) == 10
    )


def test_mixed_rows_are_not_measured() -> None:
    with pytest.raises(AssertionError, match="not mixed"):
        task().judge(nn.Identity(), batch(scores(), SHARES))


def test_batches() -> None:
    samples = Samples(inputs=scores(), targets=LABELS, ids=torch.arange(6))
    made = task().collate(samples)
    assert made.size == 6
    assert made.to(torch.device("cpu")) is made
    moved = made.to(torch.device("meta"))
    assert (moved.inputs.device.type, moved.targets.device.type) == ("meta", "meta")
    assert moved.ids.device.type == "cpu"


def test_heads() -> None:
    spec = ClassifySpec()
    assert spec.head(Signal("vector", (8,)), LABELLED) == (DenseSpec(width=4),)
    pooled = (GlobalPoolSpec(), DenseSpec(width=4))
    assert spec.head(Signal("image", (8, 3, 3)), LABELLED) == pooled
    assert spec.head(Signal("sequence", (9, 8)), LABELLED) == pooled
    assert spec.wants(Signal("vector", (8,)), LABELLED) == Signal("vector", (4,))
    with pytest.raises(ShapeError, match="got tokens"):
        spec.head(Signal("tokens", (9,)), LABELLED)


@pytest.mark.parametrize("signal", [Signal("image", (8, 3, 3)), Signal("sequence", (9, 8))])
def test_a_pooled_head_is_the_mean_over_positions(signal: Signal) -> None:
    pooled, scored = ClassifySpec().head(signal, LABELLED)
    pool, dense = pooled.build(signal), scored.build(Signal("vector", (8,)))
    x = torch.randn(2, *signal.shape, generator=torch.Generator().manual_seed(1))
    mean = x.mean((2, 3)) if signal.form == "image" else x.mean(1)
    torch.testing.assert_close(dense(pool(x)), dense(mean))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"bea": 2.0}, r'task.class_weights.bea: got a weight for "bea".*did you mean "bee"'),
        (dict.fromkeys(CLASSES, 0.0), "every class has the weight 0"),
    ],
)
def test_weights_that_cannot_be_used(weights: dict[str, float], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        task(class_weights=weights)


@pytest.mark.parametrize(
    "data",
    [{"label_smoothing": 1.0}, {"class_weights": "even"}, {"class_weights": {"ant": -1.0}},
     {"top_k": 0}, {"smoothing": 0.1}],
)  # fmt: skip
def test_specs_that_make_no_sense(data: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        parse(ClassifySpec, data)


def test_a_spec_is_read_again() -> None:
    data = {"kind": "classify", "class_weights": {"ant": 2, "bee": 0.5}, "label_smoothing": 0.1}
    spec = task_spec(data)
    assert task_spec(plain(spec)) == spec
    assert plain(ClassifySpec()) == {"kind": "classify"}


def test_a_task_of_no_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="clasify"):
        task_spec({"kind": "clasify"})


def task_spec(data: dict[str, Any]) -> Any:
    return TypeAdapter(TaskSpec).validate_python(data)
