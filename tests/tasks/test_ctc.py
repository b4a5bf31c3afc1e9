"""CTC against a count of all ways, decoders against all texts, the n-gram model by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.sound.ngram import DISCOUNT, Ngram
from luthier.errors import DataError
from luthier.tasks.ctc import BeamSpec, beam, ctc_nats, greedy, least_frames

TOKENS = 2
BLANK = 2
Texts = dict[tuple[int, ...], float]


def log_p(frames: int, seed: int) -> np.ndarray:
    x = torch.randn(frames, TOKENS + 1, generator=torch.Generator().manual_seed(seed)).double()
    return (2 * x).log_softmax(1).numpy()


def every_text(scores: np.ndarray) -> Texts:
    """The probability of each text: every way through the frames, its repeats and blanks gone."""
    found: Texts = {}
    for way in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        text = tuple(token for token, _ in itertools.groupby(way) if token != BLANK)
        p = math.exp(sum(scores[frame, token] for frame, token in enumerate(way)))
        found[text] = found.get(text, 0.0) + p
    return found


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 6])
def test_the_loss_is_the_sum_over_all_ways(frames: int) -> None:
    scores = log_p(frames, seed=frames)
    texts = every_text(scores)
    assert sum(texts.values()) == pytest.approx(1.0, abs=1e-12)
    for length in range(frames + 2):
        for text in itertools.product(range(TOKENS), repeat=length):
            nats = ctc_nats(
                torch.from_numpy(scores)[None], [frames], [np.array(text, dtype=np.int32)]
            )
            if text in texts:
                assert nats.item() == pytest.approx(-math.log(texts[text]), rel=1e-12)
            else:
                assert nats.item() == math.inf
            assert (least_frames(np.array(text, dtype=np.int32)) <= frames) == (text in texts)


def test_sounds_of_different_lengths_do_not_see_each_other() -> None:
    lengths, texts = (4, 6, 1), ([0, 1], [1, 1, 0], [0])
    rows = [torch.from_numpy(log_p(length, seed=length)) for length in lengths]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=5.0)
    tokens = [np.array(text, dtype=np.int32) for text in texts]
    together = ctc_nats(padded, lengths, tokens)
    for number in range(3):
        alone = ctc_nats(rows[number][None], [lengths[number]], [tokens[number]])
        torch.testing.assert_close(together[number], alone[0], rtol=1e-12, atol=1e-12)


@given(st.integers(1, 6), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_wide_beam_finds_the_likeliest_text(frames: int, seed: int) -> None:
    scores = log_p(frames, seed)
    texts = every_text(scores)
    found = tuple(beam(scores, BeamSpec(width=1000)))
    assert texts[found] == pytest.approx(max(texts.values()), rel=1e-12)


def test_the_likeliest_way_is_not_the_likeliest_text() -> None:
    """The twin of the proof above: where greedy is wrong, the beam is right."""
    scores = np.log(np.array([[0.4, 0.0001, 0.5999], [0.4, 0.0001, 0.5999]]))
    assert greedy(scores) == []
    assert beam(scores, BeamSpec(width=10)) == [0]


@given(st.integers(1, 5), st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_with_a_language_model_it_finds_the_text_that_is_worth_most(frames: int, seed: int) -> None:
    scores = log_p(frames, seed)
    language = Ngram.of([[0, 1, 0], [0, 1], [1, 0, 1, 0]], order=2, vocab=TOKENS)
    spec = BeamSpec(width=1000, weight=0.8, bonus=0.3)
    found = tuple(beam(scores, spec, language))

    def worth(text: tuple[int, ...], p: float) -> float:
        return math.log(p) - spec.weight * language.text_nats(text) + spec.bonus * len(text)

    texts = every_text(scores)
    best = max(worth(text, p) for text, p in texts.items())
    assert worth(found, texts[found]) == pytest.approx(best, rel=1e-9)


def test_a_narrow_beam_keeps_the_best_beginnings() -> None:
    """Scores as a network that has learned gives them: sure of most frames."""
    scores = 3 * np.concatenate([log_p(6, seed) for seed in range(8)])
    scores -= np.log(np.exp(scores).sum(1, keepdims=True))
    wide, narrow = (beam(scores, BeamSpec(width=width)) for width in (200, 20))
    assert wide == narrow
    assert len(narrow) > 5


def test_ngram_probabilities_by_hand() -> None:
    """Kneser and Ney, with two words: 0 is behind 1 and the beginning, 1 behind 0 alone."""
    model = Ngram.of([[0, 1], [0, 1], [1, 0]], order=2, vocab=2)
    d, share = DISCOUNT, 1 / 3
    # Different tokens before 0: the beginning, 1. Before 1: 0, the beginning. Before the end: 1, 0.
    single = dict.fromkeys((0, 1, model.end), (2 - d) / 6 + 3 * d / 6 * share)
    # Behind 0 there are 1 (twice) and the end (once).
    behind = {1: (2 - d) / 3, 0: 0.0, model.end: (1 - d) / 3}
    for token in (0, 1, model.end):
        want = behind[token] + 2 * d / 3 * single[token]
        assert math.exp(-model.nats((0,), token)) == pytest.approx(want, rel=1e-12)


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=8),
    st.integers(1, 4),
    st.lists(st.integers(0, 3), max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_ngram_probabilities_sum_to_one(
    texts: list[list[int]], order: int, history: list[int]
) -> None:
    model = Ngram.of(texts, order, vocab=4)
    total = sum(math.exp(-model.nats(history, token)) for token in range(5))
    assert total == pytest.approx(1.0, rel=1e-9)
    back = Ngram.from_json(model.to_json())
    assert back.text_nats(history) == model.text_nats(history)


def test_ngram_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="got no texts to count"):
        Ngram.of([], 3, 4)
