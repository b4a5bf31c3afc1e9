"""Confusion, precision, recall and F1 against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs

from luthier.metrics.confusion import class_scores, confusion_matrix, macro_f1
from luthier.metrics.interval import wilson

Answers = tuple[np.ndarray, np.ndarray]


def answers(n: int = 500, classes: int = 5, accuracy: float = 0.8, seed: int = 0) -> Answers:
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, n)
    wrong = generator.random(n) > accuracy
    return label, np.where(wrong, generator.integers(0, classes, n), label)


def test_against_scikit_learn() -> None:
    label, predicted = answers()
    confusion = confusion_matrix(label, predicted, 5)
    np.testing.assert_array_equal(confusion, theirs.confusion_matrix(label, predicted))
    precision, recall, f1, support = theirs.precision_recall_fscore_support(label, predicted)
    for score in class_scores(confusion):
        assert score.precision
        assert score.recall
        assert score.f1
        assert score.precision.value == pytest.approx(precision[score.label])
        assert score.recall.value == pytest.approx(recall[score.label])
        assert score.f1.value == pytest.approx(f1[score.label])
        assert score.examples == support[score.label]
    expected = theirs.f1_score(label, predicted, average="macro")
    assert macro_f1(confusion).value == pytest.approx(expected)


def test_rows_are_what_they_are() -> None:
    confusion = confusion_matrix(np.array([0, 0, 2]), np.array([1, 0, 2]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_a_class_outside_of_the_list_is_no_class() -> None:
    for label, predicted in ((3, 0), (0, 3), (-1, 1)):
        with pytest.raises(AssertionError, match="a class not in 0 to 2"):
            confusion_matrix(np.array([label]), np.array([predicted]), 3)


def test_classes_that_are_not_there_have_no_scores() -> None:
    scores = class_scores(np.array([[3, 0, 0], [1, 0, 0], [0, 0, 0]]))
    assert scores[1].precision is None
    assert scores[1].recall is not None
    assert scores[2].f1 is None
    assert scores[2].to_json()["recall"] is None
    # The mean leaves out class 2 and counts class 1 as 0.
    assert macro_f1(np.array([[3, 0, 0], [1, 0, 0], [0, 0, 0]])).value == pytest.approx(6 / 7 / 2)


cells = st.integers(1, 6).flatmap(
    lambda k: st.lists(st.integers(0, 30), min_size=k * k, max_size=k * k)
)


@settings(deadline=None)
@given(cells)
def test_intervals_hold_their_values(counts: list[int]) -> None:
    size = int(len(counts) ** 0.5)
    confusion = np.array(counts).reshape(size, size)
    for score in class_scores(confusion):
        for metric in (score.precision, score.recall, score.f1):
            assert metric is None or 0 <= metric.low <= metric.value <= metric.high <= 1
    if confusion.sum():
        metric = macro_f1(confusion)
        assert 0 <= metric.low <= metric.value <= metric.high <= 1


def test_the_bootstrap_of_cells_is_the_bootstrap_of_examples() -> None:
    label, predicted = answers(n=300)
    generator = np.random.default_rng(1)
    draws = []
    for _ in range(2000):
        rows = generator.integers(0, 300, 300)
        draws.append(theirs.f1_score(label[rows], predicted[rows], average="macro"))
    low, high = np.quantile(draws, (0.025, 0.975))
    found = macro_f1(confusion_matrix(label, predicted, 5))
    assert found.high - found.low == pytest.approx(high - low, rel=0.08)
    assert found.low == pytest.approx(low, abs=0.006)


def test_the_bootstrap_is_seeded() -> None:
    confusion = confusion_matrix(*answers(), 5)
    assert macro_f1(confusion, seed=3) == macro_f1(confusion, seed=3)
    assert macro_f1(confusion, seed=3) != macro_f1(confusion, seed=4)


def test_no_mistakes_is_not_certainty() -> None:
    assert macro_f1(np.diag([20, 16])) == wilson(36, 36)


def test_f1_interval_covers() -> None:
    """The mapped Wilson interval holds the true F1 as often as it says."""
    generator = np.random.default_rng(5)
    chances = np.array([0.25, 0.05, 0.08, 0.62])  # hits, misses, false alarms, the rest
    truth = 2 * chances[0] / (2 * chances[0] + chances[1] + chances[2])
    held = []
    for hits, misses, alarms, rest in generator.multinomial(120, chances, size=2000):
        score = class_scores(np.array([[hits, misses], [alarms, rest]]))[0]
        assert score.f1
        held.append(score.f1.low <= truth <= score.f1.high)
    assert 0.93 < np.mean(held) < 0.97


def test_many_classes_are_quick() -> None:
    label, predicted = answers(n=5000, classes=1000)
    assert 0.7 < macro_f1(confusion_matrix(label, predicted, 1000)).value < 0.85
