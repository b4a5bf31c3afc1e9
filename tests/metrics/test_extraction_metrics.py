"""Exact match and F1 by the rules of SQuAD and of CMRC 2018; the threshold of no answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.metrics.extraction import (
    best_threshold,
    cmrc_form,
    cmrc_units,
    exact_match,
    extraction_metrics,
    f1,
    squad_form,
)

# What SQuAD's evaluate-v2.0.py gives for these, worked out from its four steps and its counts.
SQUAD = [
    ("Denver Broncos", ["Denver Broncos"], 1, 1.0),
    ("the Denver Broncos.", ["denver   broncos"], 1, 1.0),
    ("Denver Broncos team", ["Denver Broncos"], 0, 2 * (2 / 3) * 1 / (2 / 3 + 1)),
    ("Santa Clara, California", ["Levi's Stadium", "Santa Clara"], 0, 0.8),
    ("a an the", [""], 1, 1.0),
    ("", [], 1, 1.0),
    ("something", [], 0, 0.0),
    ("", ["something"], 0, 0.0),
    ("to to to", ["to be to"], 0, 2 / 3),
    ("U.S.", ["US"], 1, 1.0),
    ("well-known", ["well known"], 0, 0.0),
    ("Cairo", ["Rome"], 0, 0.0),
]
# What cmrc2018_evaluate.py gives: characters without marks, the longest run that both have.
CMRC = [
    ("光荣和ω-force", ["光荣和ω-force"], 1, 1.0),
    ("《光荣和ω-force》", ["光荣和ω-force。"], 1, 1.0),
    ("光荣", ["光荣和ω-force"], 0, 2 * 1.0 * 0.5 / 1.5),
    ("光和荣", ["光荣"], 0, 2 * 1 / 5),
    ("2010年3月", ["2010年"], 0, 0.8 - 0.8 + 2 * 1.0 * 0.5 / 1.5),
    ("ABC", ["abc", "甲"], 1, 1.0),
    ("甲乙", ["丙", "甲乙丙丁"], 0, 2 * 2 / 6),
    ("丙", ["甲"], 0, 0.0),
]


@pytest.mark.parametrize(("said", "known", "exact", "overlap"), SQUAD)
def test_the_rules_of_squad(said: str, known: list[str], exact: int, overlap: float) -> None:
    assert exact_match(said, known, "squad") == bool(exact)
    assert f1(said, known, "squad") == pytest.approx(overlap, abs=1e-12)


@pytest.mark.parametrize(("said", "known", "exact", "overlap"), CMRC)
def test_the_rules_of_cmrc(said: str, known: list[str], exact: int, overlap: float) -> None:
    assert exact_match(said, known, "cmrc") == bool(exact)
    assert f1(said, known, "cmrc") == pytest.approx(overlap, abs=1e-12)


def test_the_rules_differ() -> None:
    """The twin: each of the two judges what the other does not."""
    assert f1("荣光", ["光荣"], "squad") == 0
    assert f1("荣光", ["光荣"], "cmrc") == 0.5
    assert exact_match("The cat", ["cat"], "squad")
    assert not exact_match("The cat", ["cat"], "cmrc")


def test_forms() -> None:
    assert squad_form("A man, a plan: The 'Canal'") == "man plan canal"
    assert cmrc_form("～“甲”、B-c……") == "甲bc……"
    assert cmrc_units("3.14和don't 2、x") == ["3.14", "和", "don't", "2x"]


texts = st.text(st.sampled_from("ab the.,-甲乙丙丁、 "), max_size=12)


@given(texts, texts, st.sampled_from(["squad", "cmrc"]))
def test_shares(said: str, known: str, rules: str) -> None:
    overlap = f1(said, [known], rules)  # type: ignore[arg-type]
    assert 0 <= overlap <= 1
    assert overlap == f1(known, [said], rules)  # type: ignore[arg-type]
    assert f1(said, [known, said], rules) == 1  # type: ignore[arg-type]
    if exact_match(said, [known], rules):  # type: ignore[arg-type]
        assert overlap == pytest.approx(1)


@given(
    st.lists(
        st.tuples(st.sampled_from([-2.0, -0.5, 0.0, 1.0, 3.0]), st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_the_best_threshold(rows: list[tuple[float, float, bool]]) -> None:
    margins = np.array([row[0] for row in rows])
    scores = np.array([row[1] for row in rows])
    answerable = np.array([row[2] for row in rows])

    def mean(threshold: float) -> float:
        said = margins <= threshold
        return float(np.where(said, np.where(answerable, scores, 0), ~answerable).mean())

    threshold, value = best_threshold(margins, scores, answerable)
    assert mean(threshold) == pytest.approx(value)
    tried = sorted({*margins, *(margins - 0.1), *(margins + 0.1)})
    assert value == pytest.approx(max(map(mean, tried)))


def test_of_equal_thresholds_the_one_nearest_to_0() -> None:
    every = list(itertools.permutations([(-5.0, True), (1.0, True), (4.0, True)]))
    for rows in every:
        margins, answerable = (np.array(column) for column in zip(*rows, strict=True))
        assert best_threshold(margins, np.ones(3), answerable) == (5.0, 1.0)


def test_metrics_are_of_questions() -> None:
    columns = {
        "f1": np.array([1.0, 0.5, 0.0, 1.0]),
        "exact_match": np.array([True, False, False, True]),
        "answerable": np.array([True, True, True, False]),
    }
    found = extraction_metrics(columns)
    assert list(found) == ["f1", "exact_match", "answerable_f1", "unanswerable_accuracy"]
    assert {name: metric.n for name, metric in found.items()} == {
        "f1": 4,
        "exact_match": 4,
        "answerable_f1": 3,
        "unanswerable_accuracy": 1,
    }
    assert found["f1"].value == 0.625
    assert found["answerable_f1"].value == 0.5
    assert found["unanswerable_accuracy"].value == 1
    assert all(metric.interval is not None for metric in found.values())
    everywhere = {**columns, "answerable": np.ones(4, dtype=bool)}
    assert list(extraction_metrics(everywhere)) == ["f1", "exact_match"]
