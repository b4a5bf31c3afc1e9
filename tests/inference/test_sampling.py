"""Which token comes next, against the formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luthier.errors import SpecError
from luthier.inference.sampling import FIRST_TRIED, Sampler, SamplingSpec, likely, sampling

CPU = torch.device("cpu")
SCORES = torch.tensor([[2.0, 1.0, 0.0, -1.0, 1.5], [0.5, 3.0, 0.0, 2.5, -4.0]], dtype=torch.float64)
ROWS = 30_000


def by_formula(scores: list[float], spec: SamplingSpec) -> list[float]:
    """The probabilities that one row is drawn by, token after token."""
    weights = {token: math.exp(score / spec.temperature) for token, score in enumerate(scores)}
    order = sorted(weights, key=lambda token: -weights[token])
    if spec.top_k:
        order = order[: spec.top_k]
    if spec.min_p:
        order = [t for t in order if weights[t] >= spec.min_p * weights[order[0]]]
    if spec.top_p:
        total, reached, kept = sum(weights[t] for t in order), 0.0, []
        for token in order:
            kept.append(token)
            reached += weights[token] / total
            if reached >= spec.top_p:
                break
        order = kept
    total = sum(weights[token] for token in order)
    return [weights[token] / total if token in order else 0.0 for token in range(len(scores))]


def probabilities(scores_BV: torch.Tensor, spec: SamplingSpec) -> torch.Tensor:
    """Those of `likely`, in the order of the tokens."""
    p_BK, tokens_BK = likely(scores_BV / spec.temperature, spec)
    p_BV = p_BK if tokens_BK is None else torch.zeros_like(scores_BV).scatter(1, tokens_BK, p_BK)
    return p_BV / p_BV.sum(-1, keepdim=True)


@given(
    scores=st.lists(
        st.floats(-9, 9).map(lambda x: round(x, 3)), min_size=1, max_size=9, unique=True
    ),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    top_k=st.none() | st.integers(1, 12),
    top_p=st.none() | st.sampled_from([0.05, 0.37, 0.81, 0.99]),
    min_p=st.none() | st.sampled_from([0.01, 0.3, 1.0]),
)
def test_formulas(scores: list[float], **settings: Any) -> None:
    spec = sampling({k: v for k, v in settings.items() if v is not None})
    found = probabilities(torch.tensor([scores], dtype=torch.float64), spec)[0]
    assert found.tolist() == pytest.approx(by_formula(scores, spec), abs=1e-9)


@pytest.mark.parametrize("top_p", [0.2, 0.999999])
def test_a_large_vocabulary(top_p: float) -> None:
    """Both where the likeliest few reach p, and where they do not."""
    scores_BV = torch.randn(1, 4 * FIRST_TRIED, generator=torch.Generator().manual_seed(1)).double()
    spec = SamplingSpec(top_p=top_p, temperature=1.0)
    wanted = by_formula(scores_BV[0].tolist(), spec)
    assert probabilities(scores_BV, spec)[0].tolist() == pytest.approx(wanted, abs=1e-9)
    assert (sum(p > 0 for p in wanted) > FIRST_TRIED) is (top_p > 0.9)


@pytest.mark.parametrize(
    "settings", [{}, {"top_k": 3}, {"top_p": 0.8, "temperature": 1.7}, {"min_p": 0.4}]
)
def test_drawn_as_often_as_wanted(settings: dict[str, float]) -> None:
    spec = sampling(settings)
    for row in SCORES:
        chosen = Sampler(spec, ROWS, 5, CPU).choose(row.expand(ROWS, 5))
        wanted = torch.tensor(by_formula(row.tolist(), spec))
        found = torch.bincount(chosen, minlength=5) / ROWS
        assert (found - wanted).abs().max() < 0.015
        assert (found[wanted == 0] == 0).all(), "one was drawn that must not be"


def test_greedy() -> None:
    assert Sampler(SamplingSpec(greedy=True), 2, 5, CPU).choose(SCORES).tolist() == [0, 1]


def test_repetition_penalty() -> None:
    """Positive scores are divided, negative ones multiplied, each once."""
    sampler = Sampler(SamplingSpec(greedy=True, repetition_penalty=4.0), 2, 5, CPU)
    sampler.see(0, torch.tensor([0, 0, 4]))  # 2 / 4 and 1.5 / 4 are below 1
    assert sampler.choose(SCORES).tolist() == [1, 1]
    assert sampler.choose(SCORES).tolist() == [0, 3]  # what was chosen was seen
    negative = torch.tensor([[-1.0, -3.0]]).double()
    sampler = Sampler(SamplingSpec(greedy=True, repetition_penalty=4.0), 1, 2, CPU)
    sampler.see(0, torch.tensor([0]))
    assert sampler.choose(negative).tolist() == [1]


def test_seeded_and_each_row_for_itself() -> None:
    def drawn(rows: int, seed: int) -> list[list[int]]:
        sampler = Sampler(SamplingSpec(seed=seed, temperature=3.0), rows, 5, CPU)
        return [sampler.choose(SCORES[:1].expand(rows, 5)).tolist() for _ in range(40)]

    alone, three = drawn(1, 7), drawn(3, 7)
    assert three == drawn(3, 7)
    assert three != drawn(3, 8)
    assert [row[0] for row in three] == [row[0] for row in alone]
    columns = list(zip(*three, strict=True))
    assert len(set(columns)) == 3, "rows draw the same"


def test_rows_that_are_kept_go_on_as_they_were() -> None:
    spec = SamplingSpec(seed=1, temperature=3.0, repetition_penalty=1.5)
    whole, part = Sampler(spec, 3, 5, CPU), Sampler(spec, 3, 5, CPU)
    row_B5 = SCORES[:1].expand(3, 5)
    assert whole.choose(row_B5).tolist() == part.choose(row_B5).tolist()
    part.keep([0, 2])
    for _ in range(20):
        assert whole.choose(row_B5)[[0, 2]].tolist() == part.choose(row_B5[:2]).tolist()


def test_scores_of_few_bits_are_drawn_from_as_float32() -> None:
    spec = SamplingSpec(seed=3)
    low = SCORES.bfloat16()
    assert Sampler(spec, 2, 5, CPU).choose(low).equal(Sampler(spec, 2, 5, CPU).choose(low.float()))


@pytest.mark.parametrize(
    ("given_", "phrases"),
    [
        ({"greedy": True, "top_k": 3}, ("top_k", "greedy")),
        ({"greedy": True, "temperature": 0.8}, ("temperature", "greedy")),
        ({"temperature": 0}, ("temperature", "got 0")),
        ({"top_p": 1.5}, ("top_p", "1.5")),
        ({"min_p": -0.1}, ("min_p", "-0.1")),
        ({"top_k": 0}, ("top_k", "got 0")),
        ({"repetition_penalty": 0.5}, ("repetition_penalty", "0.5")),
        ({"max_tokens": 0}, ("max_tokens", "got 0")),
        ({"stop": ["a", ""]}, ("stop", "empty")),
        ({"stop": "a"}, ("stop", "a list")),
        ({"temprature": 1}, ("temprature", '"temperature"')),
    ],
)
def test_refused(given_: dict[str, Any], phrases: tuple[str, ...]) -> None:
    with pytest.raises(SpecError) as caught:
        sampling(given_)
    assert all(phrase in str(caught.value) for phrase in phrases), caught.value


def test_settings_are_taken_as_they_are() -> None:
    assert sampling(None) == SamplingSpec()
    spec = SamplingSpec(greedy=True)
    assert sampling(spec) is spec
    assert sampling({"stop": ["a"]}).stop == ("a",)
