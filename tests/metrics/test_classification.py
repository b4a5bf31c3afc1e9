"""The metrics of a classifier, whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as theirs

from luthier.metrics.classification import (
    classification_details,
    classification_metrics,
    worst_mistakes,
)


def columns(n: int = 400, classes: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, n)
    scores = generator.normal(size=(n, classes))
    scores[np.arange(n), label] += 2.0
    chance = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    top = np.argsort(-chance, axis=1)[:, :3]
    return {
        "label": label,
        "predicted": top[:, 0],
        "probability": chance.max(1),
        "probability_of_label": chance[np.arange(n), label],
        "top": top,
        "all": chance,
    }


def test_against_scikit_learn() -> None:
    data = columns()
    found = classification_metrics(data, classes=6, top_k=3)
    label, predicted = data["label"], data["predicted"]
    assert list(found) == [
        "accuracy",
        "top_3_accuracy",
        "macro_f1",
        "log_loss",
        "calibration_error",
    ]
    expected = {
        "accuracy": theirs.accuracy_score(label, predicted),
        "top_3_accuracy": theirs.top_k_accuracy_score(label, data["all"], k=3),
        "macro_f1": theirs.f1_score(label, predicted, average="macro"),
        "log_loss": theirs.log_loss(label, data["all"]),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value), name
        assert found[name].low < value < found[name].high
        assert found[name].n == 400


@pytest.mark.parametrize("top_k", [1, 6, 9])
def test_a_top_k_that_says_nothing_is_left_out(top_k: int) -> None:
    assert len(classification_metrics(columns(), classes=6, top_k=top_k)) == 4


def test_a_probability_of_zero_stays_finite() -> None:
    data = columns()
    data["probability_of_label"][0] = 0.0
    assert np.isfinite(classification_metrics(data, classes=6, top_k=1)["log_loss"].value)


def test_details_are_json_and_add_up() -> None:
    data = columns()
    names = tuple("abcdef")
    details = json.loads(json.dumps(classification_details(data, names).to_json()))
    assert details["classes"] == list(names)
    assert np.trace(details["confusion"]) == (data["label"] == data["predicted"]).sum()
    assert [row["class"] for row in details["per_class"]] == list(names)
    assert sum(row["examples"] for row in details["per_class"]) == 400
    assert sum(found["accuracy"]["n"] for found in details["calibration"]) == 400


def test_worst_mistakes_first() -> None:
    data = {
        "label": np.array([0, 1, 0, 1, 0]),
        "predicted": np.array([0, 0, 1, 0, 1]),
        "probability": np.array([0.9, 0.6, 0.99, 0.8, 0.8]),
    }
    assert worst_mistakes(data, 9).tolist() == [2, 3, 4, 1]
    assert worst_mistakes(data, 2).tolist() == [2, 3]
