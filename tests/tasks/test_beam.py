"""Beam search against a search of all texts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from toy_pairs import NETWORKS, TRANSFORMER, network, samples, task, tokenizer, written

from luthier.model.blueprint import Network
from luthier.model.layout import Layout
from luthier.model.stream import Source, Stream
from luthier.tasks import beam
from luthier.tasks.beam import Found, Search, beam_search

LETTERS = "ab"
MOST = 4
every_network = pytest.mark.parametrize("name", NETWORKS)


def search(beams: int, penalty: float = 1.0, most: int = MOST, forced: Any = ()) -> Search:
    about = written(tokenizer(LETTERS))
    return Search(
        beams=beams,
        length_penalty=penalty,
        most=most,
        opening=about.opening,
        end=about.end,
        forced=forced,
    )


def sources(net: Network, count: int = 3, seed: int = 0) -> Source:
    """Of unequal lengths."""
    generator = np.random.default_rng(seed)
    lengths = [int(n) for n in generator.integers(1, 7, count)]
    layout = Layout.packed(lengths)
    x = torch.from_numpy(generator.integers(0, tokenizer(LETTERS).size, (1, sum(lengths))))
    return Source(net.encode(x, Stream(layout=layout)), layout)


def log_p(net: Network, source: Source, number: int, tokens: tuple[int, ...], opening: int) -> Any:
    """The logarithms of the probabilities of each token of a text of one of the sources."""
    x = torch.tensor([[opening, *tokens[:-1]]]).repeat(source.count, 1)
    stream = Stream(source_BSD=source.x_BSD, source_layout=source.layout)
    scores = net(x, stream)[number].log_softmax(-1)
    return scores.gather(1, torch.tensor(tokens)[:, None])[:, 0]


def all_texts(net: Network, source: Source, number: int, how: Search) -> list[Found]:
    """Every text there is, the best first."""
    vocab = net.gives.shape[-1]
    others = [token for token in range(vocab) if token != how.end]
    found = []
    for length in range(how.most + 1):
        for tokens in itertools.product(others, repeat=length):
            whole = tokens if length == how.most else (*tokens, how.end)
            sum_p = float(log_p(net, source, number, whole, how.opening).sum())
            score = sum_p / len(whole) ** how.length_penalty
            found.append(Found(tokens, score, sum_p, ended=len(whole) > length))
    return sorted(found, key=lambda one: -one.score)


@every_network
@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
@torch.no_grad()
def test_with_as_many_beams_as_texts_it_finds_the_best(name: str, penalty: float) -> None:
    net = network(NETWORKS[name], letters=LETTERS, context=MOST + 1, scale=2.0).eval()
    source, how = sources(net), search(64, penalty, most=3)
    found = beam_search(net, source, how)
    for number in range(source.count):
        best = all_texts(net, source, number, how)[0]
        assert found[number][0].tokens == best.tokens
        assert found[number][0].score == pytest.approx(best.score, rel=1e-10)
        assert found[number][0].ended == best.ended


@every_network
@torch.no_grad()
def test_one_beam_is_greedy(name: str) -> None:
    net = network(NETWORKS[name], letters=LETTERS, context=12, scale=2.0).eval()
    source, how = sources(net, 5), search(1, most=11)
    found = beam_search(net, source, how)
    for number in range(source.count):
        tokens: tuple[int, ...] = ()
        while len(tokens) < how.most and how.end not in tokens:
            x = torch.tensor([[how.opening, *tokens]]).repeat(source.count, 1)
            stream = Stream(source_BSD=source.x_BSD, source_layout=source.layout)
            tokens = (*tokens, int(net(x, stream)[number, -1].argmax()))
        assert found[number][0].tokens == tuple(t for t in tokens if t != how.end)


@torch.no_grad()
def test_more_beams_find_no_worse_and_neighbours_change_nothing() -> None:
    net = network(TRANSFORMER, letters="abcdef", context=10, scale=2.0).eval()
    about = written(tokenizer("abcdef"))
    scores = {}
    for beams in (1, 4):
        how = Search(beams=beams, length_penalty=0.0, most=8, opening=about.opening, end=about.end)
        together = beam_search(net, sources(net, 7), how)
        whole = sources(net, 7)
        assert whole.layout is not None
        parts = torch.split(whole.x_BSD[0], list(whole.layout.lengths))
        alone = [beam_search(net, Source(part[None], None), how)[0] for part in parts]
        for one, other in zip(together, alone, strict=True):
            assert [found.tokens for found in one] == [found.tokens for found in other]
            np.testing.assert_allclose([f.score for f in one], [f.score for f in other], rtol=1e-9)
        scores[beams] = [found[0].score for found in together]
    assert sum(scores[4]) > sum(scores[1]), "the same, so that the beams do nothing"


@torch.no_grad()
def test_forced_tokens_come_first() -> None:
    net = network(TRANSFORMER, letters=LETTERS, context=9).eval()
    (found,) = beam_search(net, sources(net, 1), search(3, most=6, forced=(2, 3)))
    assert all(one.tokens[:2] == (2, 3) for one in found)


@torch.no_grad()
def test_a_search_that_keeps_the_wrong_rows_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: texts go on from the memory of others."""
    net = network(TRANSFORMER, letters=LETTERS, context=MOST + 1, scale=2.0).eval()
    source, how = sources(net), search(64, penalty=2.0)
    right = beam_search(net, source, how)
    monkeypatch.setattr(
        beam, "_rows_of", lambda parents, left: list(range(parents.shape[1] * len(left)))
    )
    wrong = beam_search(net, source, how)
    gap = max(
        abs(one.score - other.score)
        for pair in zip(right, wrong, strict=True)
        for one, other in zip(*pair, strict=False)
    )
    assert gap > 1e-4


def test_what_is_written_hangs_on_the_beams() -> None:
    net, made = network(TRANSFORMER, scale=1.5).eval(), task(beams=1)
    batch = made.collate(samples([0, 2, 5]))
    one, five = (made.with_beams(n).predict(net, batch, top=9) for n in (1, 5))
    assert len(one[0]["top"]) == 1
    assert 1 < len(five[0]["top"]) <= 5
