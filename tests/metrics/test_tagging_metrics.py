"""Scores of entities and of single words, against scikit-learn and a bootstrap of texts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as theirs

from luthier.metrics.bootstrap import drawn_sums
from luthier.metrics.tagging import entity_metrics, scores_by_type, word_metrics


def texts(n: int = 300, types: int = 3) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    actual = generator.poisson(0.7, (n, types))
    found = generator.binomial(actual, 0.6)
    return {
        "actual": actual,
        "found": found,
        "said": found + generator.poisson(0.2, (n, types)),
        "words": np.full(n, 12),
        "right": 12 - generator.integers(0, 4, n),
    }


def f1(columns: dict[str, np.ndarray], rows: np.ndarray) -> float:
    hits, said, actual = (columns[name][rows].sum() for name in ("found", "said", "actual"))
    return float(2 * hits / (said + actual))


def test_micro_scores() -> None:
    columns = texts()
    found = entity_metrics(columns)
    hits = columns["found"].sum()
    assert found["entity_f1"].value == pytest.approx(f1(columns, np.arange(300)))
    assert found["entity_precision"].value == pytest.approx(hits / columns["said"].sum())
    assert found["entity_recall"].value == pytest.approx(hits / columns["actual"].sum())
    assert found["tag_accuracy"].value == pytest.approx(columns["right"].sum() / (12 * 300))
    for metric in found.values():
        assert 0 <= metric.low < metric.value < metric.high <= 1
        assert metric.n == 300


def test_the_interval_is_that_of_texts_drawn_anew() -> None:
    columns = texts()
    generator = np.random.default_rng(7)
    draws = [f1(columns, generator.integers(0, 300, 300)) for _ in range(3000)]
    low, high = np.quantile(draws, (0.025, 0.975))
    found = entity_metrics(columns)["entity_f1"]
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))
    assert entity_metrics(columns)["entity_f1"] == found


def test_single_words_against_scikit_learn() -> None:
    generator = np.random.default_rng(5)
    actual = generator.integers(0, 4, (200, 10))
    said = np.where(generator.random((200, 10)) < 0.7, actual, generator.integers(0, 4, (200, 10)))

    def counts(tags: np.ndarray) -> np.ndarray:
        return np.stack([(tags == tag).sum(1) for tag in range(4)], 1)

    columns = {
        "actual": counts(actual),
        "said": counts(said),
        "found": counts(np.where(actual == said, actual, -1)),
        "words": np.full(200, 10),
        "right": (actual == said).sum(1),
    }
    found = word_metrics(columns)
    macro = theirs.f1_score(actual.ravel(), said.ravel(), average="macro")
    assert found["tag_macro_f1"].value == pytest.approx(macro)
    assert found["tag_macro_f1"].low < macro < found["tag_macro_f1"].high
    right = theirs.accuracy_score(actual.ravel(), said.ravel())
    assert found["tag_accuracy"].value == pytest.approx(right)
    precision, recall, each, support = theirs.precision_recall_fscore_support(
        actual.ravel(), said.ravel()
    )
    for number, row in enumerate(scores_by_type(columns, ("a", "b", "c", "d"))):
        assert row["precision"]["value"] == pytest.approx(precision[number])
        assert row["recall"]["value"] == pytest.approx(recall[number])
        assert row["f1"]["value"] == pytest.approx(each[number])
        assert row["actual"] == support[number]


def test_nothing_there_and_nothing_said() -> None:
    zeros = np.zeros((4, 2), dtype=np.int64)
    columns = dict.fromkeys(("actual", "said", "found"), zeros)
    columns |= {"words": np.full(4, 3), "right": np.full(4, 3)}
    found = entity_metrics(columns)
    assert found["entity_f1"].value == 0.0
    assert found["tag_accuracy"].value == 1.0
    assert found["tag_accuracy"].low < 0.6
    rows = scores_by_type(columns, ("a", "b"))
    assert rows[0]["precision"] is rows[0]["recall"] is rows[0]["f1"] is None
    assert word_metrics(columns)["tag_macro_f1"].value == 0.0


def test_no_mistakes_is_not_certainty() -> None:
    columns = texts()
    columns |= {"found": columns["actual"], "said": columns["actual"], "right": columns["words"]}
    for metric in (*entity_metrics(columns).values(), *word_metrics(columns).values()):
        assert metric.value == metric.high == 1.0
        assert 0.95 < metric.low < 1.0


def test_drawn_sums_are_sums_of_examples_drawn_anew() -> None:
    values = np.random.default_rng(1).integers(0, 3, (50, 2))
    draws = drawn_sums(values)
    assert draws.shape == (1000, 2)
    np.testing.assert_allclose(draws.mean(0), values.sum(0), rtol=0.02)
    np.testing.assert_allclose(draws.std(0), np.sqrt(50) * values.std(0), rtol=0.1)
    np.testing.assert_array_equal(draws, drawn_sums(values))
    assert not np.array_equal(draws, drawn_sums(values, seed=1))


def test_slices_of_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.metrics.bootstrap.DRAWN_AT_ONCE", 40)
    assert drawn_sums(np.arange(12).reshape(6, 2)).shape == (1000, 2)
