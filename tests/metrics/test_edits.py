"""Edits: against jiwer, their alignment, and the metrics made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.metrics.edits import (
    aligned,
    counted_edits,
    edits,
    error_counts,
    error_metrics,
    side_by_side,
    worst_texts,
)

WORDS = st.lists(st.sampled_from(["a", "b", "cc"]), max_size=8)


@given(st.lists(st.tuples(WORDS.filter(bool), WORDS), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_error_rates_are_those_of_jiwer(pairs: list[tuple[list[str], list[str]]]) -> None:
    jiwer = pytest.importorskip("jiwer")
    right, said = [" ".join(r) for r, _ in pairs], [" ".join(s) for _, s in pairs]
    found = error_metrics(counted_edits(right, said))
    assert found["word_error"].value == pytest.approx(jiwer.wer(right, said), rel=1e-12)
    assert found["character_error"].value == pytest.approx(jiwer.cer(right, said), rel=1e-12)


@given(WORDS, WORDS)
@settings(max_examples=60, deadline=None)
def test_an_alignment_turns_one_into_the_other(right: list[str], said: list[str]) -> None:
    steps = aligned(right, said)
    assert [step.right for step in steps if step.kind != "insertion"] == right
    assert [step.said for step in steps if step.kind != "deletion"] == said
    assert all((step.right == step.said) == (step.kind == "right") for step in steps)
    assert edits(right, said).total == sum(step.kind != "right" for step in steps)
    assert edits(said, right).total == edits(right, said).total


def test_counts_and_worst_texts() -> None:
    right, said = ["one two three", "four", "five"], ["one too three four", "four", ""]
    columns = {
        **counted_edits(right, said),
        "id": np.arange(3),
        "right": np.array(right),
        "said": np.array(said),
    }
    assert error_counts(columns)["word"] == {
        "words": 5, "substitutions": 1, "deletions": 1, "insertions": 1,
    }  # fmt: skip
    worst = worst_texts(columns, 5, names=["a.wav", "b.wav", "c.wav"])
    assert [one["name"] for one in worst] == ["a.wav", "c.wav"]
    assert side_by_side(worst[0]["edits"]) == (
        "one two three ****",
        "one too three four",
        "    S         I",
    )
    assert side_by_side(worst[1]["edits"]) == ("five", "****", "D")


def test_no_error_has_an_upper_bound() -> None:
    found = error_metrics(counted_edits(["a b", "c"], ["a b", "c"]))
    assert found["word_error"].value == 0
    assert 0 < found["word_error"].high < 1
    assert found["exact"].value == 1


def test_more_errors_than_words() -> None:
    assert error_metrics(counted_edits(["a"], ["b c d"]))["word_error"].value == 3
