"""Texts as a network reads them: packed, padded, in pairs, of one length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_texts import CASES, CLASSES, CONTEXT, LENGTHS, VOCAB, Case, texts

from luthier.data.text.rows.samples import Text, TextSamples
from luthier.model.blueprint import Network
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.tasks.texts import Texts, read

TYPED = Case(
    {"kind": "classify"},
    CLASSES,
    ({"kind": "tokens", "width": 8, "types": 2}, {"kind": "recurrent", "width": 6}),
)


class Watched(nn.Module):
    """Somebody's own module, that keeps what it read."""

    def __init__(self, pools: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCAB, 3)
        self.pools = pools
        self.read: Tensor = torch.zeros(0)

    def forward(self, x_NT: Tensor) -> Tensor:
        self.read = x_NT
        y: Tensor = self.table(x_NT)
        return y.mean(1) if self.pools else y


def test_a_network_of_blocks_reads_one_row() -> None:
    _, stream = read(CASES["tag"].network(), Texts.of(texts(range(8))))
    assert stream.layout is not None
    assert (stream.layout.rows, stream.layout.time) == (1, sum(LENGTHS))
    assert stream.layout.lengths == LENGTHS


@pytest.mark.parametrize("network", ["bare", "wrapped"])
def test_an_own_module_reads_padded_rows(network: str) -> None:
    samples = texts([0, 1, 2])
    samples = TextSamples(**{**vars(samples), "pad": 7})
    for pools in (False, True):
        module = Watched(pools)
        whole = module if network == "bare" else Network.of(module, Signal.tokens(CONTEXT, VOCAB))
        y, _ = read(whole, Texts.of(samples))
        for row, one in enumerate(samples.texts):
            assert module.read[row].tolist() == [*one.tokens, *[7] * (9 - len(one.tokens))]
        joined = torch.from_numpy(np.concatenate([one.tokens for one in samples.texts]))
        wanted = module.table(module.read).mean(1) if pools else module.table(joined.long())
        assert torch.equal(y, wanted)


def test_texts_of_one_length_need_no_layout() -> None:
    network = CASES["tag"].network()
    equal = Texts.of(texts([2, 10, 18]))
    assert equal.lengths == (9, 9, 9)
    y, stream = read(network, equal)
    assert stream.layout is None
    mixed, _ = read(network, Texts.of(texts([2, 10, 18, 1])))
    torch.testing.assert_close(y, mixed[:27], rtol=1e-12, atol=1e-13)


def pairs(numbers: list[int]) -> TextSamples:
    samples = texts(numbers)
    second = [
        Text(tokens=one.tokens, types=(np.arange(len(one.tokens)) > 1).astype(np.int32))
        for one in samples.texts
    ]
    return TextSamples(texts=second, labels=samples.labels, ids=samples.ids)


@pytest.mark.parametrize("numbers", [[0, 2, 3], [2, 10]], ids=["packed", "of one length"])
def test_the_second_of_a_pair_is_told(numbers: list[int]) -> None:
    task, network = TYPED.build(), TYPED.network()
    loss = task.loss(network, task.collate(pairs(numbers)))
    total = 0.0
    for one, label in zip(pairs(numbers).texts, texts(numbers).labels, strict=True):
        assert one.types is not None
        types = torch.from_numpy(one.types.astype(np.int64))[None]
        x = torch.from_numpy(one.tokens.astype(np.int64))[None]
        total -= network(x, Stream(types_BT=types)).log_softmax(1)[0, label].item()
    assert loss.sum.item() == pytest.approx(total, rel=1e-12)
    single = task.loss(network, task.collate(texts(numbers)))  # the twin: no types
    assert abs(single.sum.item() - total) > 1e-4


def test_a_text_that_is_no_pair_among_pairs() -> None:
    mixed = TextSamples(
        texts=[*pairs([0]).texts, *texts([2]).texts],
        labels=torch.zeros(2, dtype=torch.int64),
        ids=torch.arange(2),
    )
    made = Texts.of(mixed)
    assert made.types_S is not None
    assert made.types_S.tolist() == [0, 0, 1, 1, 1, *[0] * 9]
    assert made.starts == [0, 5]


def test_the_loss_of_classify_over_texts() -> None:
    case = CASES["classify"]
    task, network = case.build(), case.network()
    loss = task.loss(network, task.collate(texts(range(8))))
    weights = torch.tensor([8 / 9, 8 / 9, 8 / 6], dtype=torch.float64)
    total = count = 0.0
    for one, label in zip(texts(range(8)).texts, texts(range(8)).labels, strict=True):
        y = network(torch.from_numpy(one.tokens.astype(np.int64))[None], Stream())
        total -= (weights[label] * y.log_softmax(1)[0, label]).item()
        count += weights[label].item()
    assert loss.sum.item() == pytest.approx(total, rel=1e-12)
    assert loss.count.item() == pytest.approx(count, rel=1e-12)
    found = task.predict(network, task.collate(texts([3, 0])), 2)
    assert [len(answer["top"]) for answer in found] == [2, 2]


def test_what_blocks_add_weighs_the_same_in_every_task() -> None:
    """A sum over positions, as a share of what texts may be long."""
    case = CASES["mixture of experts"]
    task, network = case.build(), case.network()
    batch = task.collate(texts(range(8)))
    _, stream = read(network, batch.inputs)
    loss = task.loss(network, batch)
    wanted = stream.losses["load_balance"].item() / CONTEXT
    assert loss.parts["load_balance"].item() == pytest.approx(wanted)
    network.eval()
    assert task.loss(network, batch).parts == {}
    assert task.loss(network, batch).sum.item() == pytest.approx(loss.sum.item() - wanted)
