"""The chain against sums over every sequence of tags, written out."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from luthier.errors import ShapeError
from luthier.model.blocks.crf import Crf, CrfSpec
from luthier.model.layout import Layout
from luthier.model.stream import State, Stream
from luthier.signal import Signal

K = 3
LENGTHS = (4, 1, 3, 4)


def chain(seed: int = 5) -> Crf:
    crf = CrfSpec().build(Signal.of((4, K))).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in crf.parameters():
            weight.copy_(torch.randn(weight.shape, dtype=torch.float64, generator=generator))
    return crf


def documents() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(n, K, dtype=torch.float64, generator=generator) for n in LENGTHS]


def tags() -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(K, (n,), generator=generator) for n in LENGTHS]


def score(crf: Crf, x: Tensor, path: tuple[int, ...]) -> Tensor:
    total = crf.first[path[0]] + crf.last[path[-1]]
    total = total + sum(x[at, tag] for at, tag in enumerate(path))
    return total + sum(crf.transitions[a, b] for a, b in itertools.pairwise(path))


def by_hand(crf: Crf, x: Tensor) -> dict[tuple[int, ...], Tensor]:
    """The logarithm of the chance of every sequence of tags."""
    paths = list(itertools.product(range(K), repeat=len(x)))
    scores = torch.stack([score(crf, x, path) for path in paths])
    return dict(zip(paths, scores.log_softmax(0), strict=True))


LAYOUTS = {
    "packed": Layout.packed(LENGTHS),
    "right": Layout.padded(LENGTHS),
    "left": Layout.padded(LENGTHS, "left"),
    "rows": Layout.rows_of([[4, 1], [3], [4]], 6),
}


def laid(parts: list[Tensor], layout: Layout) -> Tensor:
    """With noise in the padding."""
    rows = torch.full((layout.rows, layout.time, *parts[0].shape[1:]), 2, dtype=parts[0].dtype)
    for part, span in zip(parts, layout.spans, strict=True):
        rows[span.row, span.start : span.stop] = part
    return rows


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_nats_are_those_of_all_sequences(layout: Layout) -> None:
    crf = chain()
    found = crf.nats(laid(documents(), layout), laid(tags(), layout), layout)
    expected = torch.stack(
        [-by_hand(crf, x)[tuple(y.tolist())] for x, y in zip(documents(), tags(), strict=True)]
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    ours = torch.autograd.grad(found.sum(), tuple(crf.parameters()))
    theirs = torch.autograd.grad(expected.sum(), tuple(crf.parameters()))
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_best_sequence_is_the_best_of_all(layout: Layout) -> None:
    for seed in range(8):
        crf = chain(seed)
        found = crf.best(laid(documents(), layout), layout)
        for x, span in zip(documents(), layout.spans, strict=True):
            chances = by_hand(crf, x)
            best = max(chances, key=lambda path: chances[path].item())
            assert tuple(found[span.row, span.start : span.stop].tolist()) == best


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_output_is_the_chance_of_each_tag(layout: Layout) -> None:
    crf = chain()
    found = crf(laid(documents(), layout), Stream(layout=layout))
    for x, span in zip(documents(), layout.spans, strict=True):
        wanted = torch.zeros_like(x)
        for path, log in by_hand(crf, x).items():
            for at, tag in enumerate(path):
                wanted[at, tag] += log.exp().detach()
        own = found[span.row, span.start : span.stop]
        torch.testing.assert_close(own.exp(), wanted, rtol=1e-11, atol=1e-12)


def test_without_a_layout_each_row_is_a_document() -> None:
    crf, x, y = chain(), documents(), tags()
    rows, wanted = torch.stack([x[0], x[3]]), torch.stack([y[0], y[3]])
    torch.testing.assert_close(crf.nats(rows, wanted)[1:], crf.nats(x[3][None], y[3][None]))
    assert torch.equal(crf.best(rows)[:1], crf.best(x[0][None]))


def test_a_chain_that_reaches_over_documents_is_caught() -> None:
    """The twin: one document where there are four."""
    crf, layout = chain(), LAYOUTS["packed"]
    x, y = laid(documents(), layout), laid(tags(), layout)
    apart, joined = crf.nats(x, y, layout).sum(), crf.nats(x, y).sum()
    assert abs(float((apart - joined).detach())) > 1e-2


def test_half_precision_is_summed_in_float32() -> None:
    crf = chain().float()
    x = torch.stack([documents()[0]]).bfloat16()
    assert crf.nats(x, tags()[0][None]).dtype == torch.float32


def test_it_does_not_go_on_from_a_state() -> None:
    with pytest.raises(ShapeError, match="crf cannot read a text step by step"):
        chain()(documents()[0][None], Stream(state=State(capacity=8)))
