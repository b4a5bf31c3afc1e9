"""Language: its losses written out, what is wanted where, what is masked, what is predicted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from tokenizers import models
from torch import Tensor, nn
from toy_texts import (
    CASES,
    CAUSAL,
    CONTEXT,
    DOCUMENTS,
    MASK,
    VOCAB,
    Case,
    document,
    farthest,
    gradient,
    rows,
)

from luthier.data.purpose import Purpose
from luthier.data.target import Documents
from luthier.data.text.rows.samples import Text, TextSamples
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError, ShapeError, SpecError
from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import parse, plain
from luthier.tasks.language import Language, LanguageSpec
from luthier.tasks.masking import masked
from luthier.tasks.rows import batch_of, layout_of, next_tokens

NEXT = CASES["next token"]
MASKED = Case({"kind": "language", "objective": "masked"}, DOCUMENTS)
SEVERAL = [[0, 1], [2, 3], [4], [7, 5, 3]]


def nats_by_hand(network: Network, tokens: np.ndarray) -> np.ndarray:
    """Of each token of a document but the first, read alone."""
    x = torch.from_numpy(tokens)[None]
    logs = network(x[:, :-1], Stream()).log_softmax(-1)[0] if len(tokens) > 1 else None
    if logs is None:
        return np.zeros(0)
    return -logs[range(len(tokens) - 1), tokens[1:]].detach().numpy()


@pytest.mark.parametrize("documents", [None, SEVERAL], ids=["one a row", "several a row"])
def test_the_loss_of_the_next_token(documents: list[list[int]] | None) -> None:
    """Without the z-loss: each document alone, one token after the other."""
    case = Case({"kind": "language"}, DOCUMENTS, CAUSAL)
    task, network = case.build(), case.network()
    names = [[n] for n in range(4)] if documents is None else documents
    samples = rows(range(4), documents=documents)
    loss = task.loss(network, task.collate(samples))
    nats = [nats_by_hand(network, document(name)) for row in names for name in row]
    assert loss.count.item() == sum(len(found) for found in nats)
    assert loss.sum.item() == pytest.approx(sum(found.sum() for found in nats), rel=1e-12)


def test_a_row_that_is_read_as_one_document_is_caught() -> None:
    """The twin: no layout, so that a document sees the one before it."""
    case = Case({"kind": "language"}, DOCUMENTS, CAUSAL)
    task, network = case.build(), case.network()
    batch = task.collate(rows(range(4), documents=SEVERAL))
    wanted = task.loss(network, batch).sum
    blind = task.loss(network, type(batch)(**{**vars(batch), "layout": None})).sum
    assert abs((wanted - blind).item()) > 1e-3


def test_targets_are_those_of_the_own_document() -> None:
    samples = rows([0, 1], documents=[[0, 1, 3], [4]])
    batch = next_tokens(samples)
    wanted = np.concatenate([document(0)[1:], document(1)[1:], document(3)[1:], document(4)[1:]])
    np.testing.assert_array_equal(batch.targets_N, wanted)
    assert batch.rows_N.tolist() == [0] * 6 + [1] * 11
    np.testing.assert_array_equal(batch.bytes_N, wanted % 4)
    assert batch.layout is not None
    assert [span.length for span in batch.layout.spans] == [5, 1, 3, 12]
    assert batch.tokens_BT.shape == (2, CONTEXT)


def test_whole_rows_need_no_layout() -> None:
    full = rows([0, 1])
    full = type(full)(**{**vars(full), "documents_BS": None})
    batch = next_tokens(full)
    assert batch.layout is None
    assert batch.scored_N is None
    assert batch.count == 2 * CONTEXT
    assert layout_of(torch.zeros(2, 3, dtype=torch.int64)) is None
    assert layout_of(torch.tensor([[0, 0, -1]])) is not None


@pytest.mark.parametrize("case", [NEXT, MASKED], ids=["next token", "masked"])
def test_packed_rows_are_rows_of_one_document(case: Case) -> None:
    task, network = case.build(), case.network()
    losses = []
    for documents in ([[n] for n in range(8)], [[0, 1, 3], [2], [4], [7, 6], [5]]):
        samples = rows(range(len(documents)), documents=documents)
        if case is NEXT:
            batch = next_tokens(samples)
        else:  # a token is hidden or not, whichever row it is in
            tokens, held = samples.tokens_BS, samples.documents_BS
            assert held is not None
            chosen = (tokens % 3 == 0) & (held >= 0)
            batch = batch_of(samples, tokens.where(~chosen, MASK), held, tokens, chosen)
        losses.append(task.loss(network, batch))
    apart, packed = losses
    assert apart.count == packed.count > 10
    assert packed.sum.item() == pytest.approx(apart.sum.item(), rel=1e-12)
    assert farthest(gradient(network, apart.sum), gradient(network, packed.sum)) < 1e-12


def test_the_masked_loss() -> None:
    task, network = MASKED.build(), MASKED.network()
    samples = rows(range(4), ahead=0, documents=SEVERAL)
    batch = task.collate(samples)
    read, chosen = masked(samples, task.masking)
    total = 0.0
    for row, names in enumerate(SEVERAL):
        start = 0
        for name in names:
            tokens = document(name)
            part = slice(start, start + len(tokens))
            logs = network(read[row, part][None], Stream()).log_softmax(-1)[0]
            for at in np.flatnonzero(chosen[row, part]):
                total -= logs[at, tokens[at]].item()
            start += len(tokens)
    loss = task.loss(network, batch)
    assert loss.count == chosen.sum() == len(batch.targets_N)
    assert loss.sum.item() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("head", ["auto", "none", "tied"])
def test_a_head_of_any_kind_has_the_same_loss(head: str) -> None:
    """The sliced loss, and the one from all scores."""
    task = CASES["next token"].build()
    unembed = {"kind": "unembed", "vocab": VOCAB, "bias": True, "softcap": 3.0}
    layers: list[dict[str, Any]] = [{"kind": "tokens", "width": 8}, {"kind": "layer_norm"}]
    data = {"layers": layers if head != "none" else [*layers, unembed], "head": head}
    blocks = LayersSpec.model_validate(data)
    network = build(blocks, Signal.tokens(CONTEXT, VOCAB), (UnembedSpec(vocab=VOCAB),))
    materialize(network, seed=1, spec=blocks.initialize, dtype=torch.float64)
    batch = task.collate(rows(range(4), documents=SEVERAL))
    scores = batch.chosen(network(batch.tokens_BT, Stream(layout=batch.layout)))
    z = 0.01 * scores.logsumexp(1).square().sum()
    expected = nn.functional.cross_entropy(scores, batch.targets_N, reduction="sum") + z
    loss = task.loss(network, batch)
    torch.testing.assert_close(loss.sum, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(loss.parts["z_loss"].detach(), z.detach(), rtol=1e-12, atol=0)
    assert farthest(gradient(network, loss.sum), gradient(network, expected)) < 1e-12


def test_somebodys_own_module_is_read_as_it_is() -> None:
    task = NEXT.build()
    own = nn.Sequential(nn.Embedding(VOCAB, 4), nn.Linear(4, VOCAB)).double()
    batch = task.collate(rows(range(3)))
    for network in (own, Network.of(own, Signal.tokens(CONTEXT, VOCAB))):
        loss = task.loss(network, batch)
        columns = task.judge(network, batch)
        assert loss.sum.item() - loss.parts["z_loss"].item() == pytest.approx(columns["nats"].sum())


def test_columns_and_metrics() -> None:
    case = Case({"kind": "language", "label_smoothing": 0.2, "z_loss": 0.1}, DOCUMENTS, CAUSAL)
    task, network = case.build(), case.network()
    columns = task.judge(network, task.collate(rows(range(4), documents=SEVERAL)))
    for row, names in enumerate(SEVERAL):
        nats = np.concatenate([nats_by_hand(network, document(name)) for name in names])
        texts = np.concatenate([document(name)[1:] for name in names])
        assert columns["targets"][row] == len(nats)
        assert columns["nats"][row] == pytest.approx(nats.sum(), rel=1e-12)
        assert columns["loss"][row] == pytest.approx(nats.mean(), rel=1e-12)
        assert columns["bytes"][row] == (texts % 4).sum()
    metrics = task.metrics(columns)
    assert list(metrics) == ["loss", "perplexity", "bits_per_byte", "accuracy"]
    loss = columns["nats"].sum() / columns["targets"].sum()
    assert metrics["loss"].value == pytest.approx(loss)
    assert metrics["perplexity"].value == pytest.approx(math.exp(loss))
    bits = columns["nats"].sum() / columns["bytes"].sum() / math.log(2)
    assert metrics["bits_per_byte"].value == pytest.approx(bits)
    assert not task.higher_is_better
    assert task.details(columns)["rows"] == 4
    assert list(MASKED.build().metrics(
        MASKED.build().judge(MASKED.network(), MASKED.build().collate(rows(range(4), ahead=0)))
    )) == ["loss", "perplexity", "accuracy"]  # fmt: skip


def test_a_row_with_nothing_to_predict() -> None:
    task, network = NEXT.build(), NEXT.network()
    columns = task.judge(network, task.collate(rows([1])))  # a document of a single token
    assert columns["targets"].tolist() == [0]
    assert columns["loss"].tolist() == [0.0]


# What it asks for


def test_purposes() -> None:
    assert LanguageSpec().purpose() == Purpose(learns="documents", specials=("end",), ahead=1)
    spec = LanguageSpec(objective="masked", whole_words=True)
    assert spec.purpose() == Purpose(
        learns="documents", specials=("pad", "first", "separator", "mask"), words=True
    )


def test_heads() -> None:
    spec = LanguageSpec()
    assert spec.head(Signal.of((9, 8)), DOCUMENTS) == (UnembedSpec(vocab=VOCAB),)
    assert spec.wants(Signal.tokens(9, VOCAB), DOCUMENTS) == Signal.of((9, VOCAB))
    with pytest.raises(ShapeError, match=r"begin with \{kind: tokens\}"):
        spec.head(Signal.tokens(9, VOCAB), DOCUMENTS)
    with pytest.raises(ShapeError, match="leave out what pools or flattens it"):
        spec.head(Signal.of((8,)), DOCUMENTS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"mask_rate": 0.2}, "mask_rate: got 0.2 where no token is masked"),
        ({"whole_words": True}, "whole_words: got True where no token is masked"),
        ({"objective": "masked", "mask_rate": 1.0}, "mask_rate"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
    ],
)
def test_specs_that_make_no_sense(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(LanguageSpec, data)


def test_specs_are_read_again() -> None:
    for data in ({"objective": "masked", "mask_rate": 0.3, "whole_words": True}, {"z_loss": 1e-4}):
        spec = parse(LanguageSpec, data)
        assert parse(LanguageSpec, plain(spec)) == spec


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    with pytest.raises(InputError, match="has no token for what is hidden"):
        LanguageSpec(objective="masked").build(Documents(vocab=9))


# Predictions


NAMES = ("<pad>", "<mask>", *(f"w{number}" for number in range(2, VOCAB)))


def tokenizer() -> Tokenizer:
    words = {name: number for number, name in enumerate(NAMES)}
    return Tokenizer(tokenizers.Tokenizer(models.WordLevel(words, unk_token="<pad>")))


def asked(*given: list[int]) -> TextSamples:
    return TextSamples(
        texts=[Text(tokens=np.array(tokens, dtype=np.int32)) for tokens in given],
        labels=torch.full((len(given),), -1),
        ids=torch.arange(len(given)),
        tokenizer=tokenizer(),
    )


def chances(network: Network, tokens: list[int], at: int) -> Tensor:
    return network(torch.tensor([tokens]), Stream()).softmax(-1)[0, at].detach()


def must_be(answer: dict[str, Any], p: Tensor) -> None:
    assert answer["token"] == NAMES[int(p.argmax())]
    assert answer["probability"] == pytest.approx(p.max().item(), rel=1e-12)
    values = p.sort(descending=True).values[:3].tolist()
    assert [one["probability"] for one in answer["top"]] == pytest.approx(values)


def test_the_next_tokens_of_texts() -> None:
    task, network = NEXT.build(), NEXT.network()
    given = ([4, 9, 2], [7], [3, 3, 8, 8, 11])
    found = task.predict(network, task.collate(asked(*given)), 3)
    for answer, tokens in zip(found, given, strict=True):
        must_be(answer, chances(network, tokens, -1))


def test_a_text_begins_as_documents_do() -> None:
    """Behind the end of another one; a text that fills the context loses its first token."""
    ends = Documents(vocab=VOCAB, specials={"end": 2})
    case = Case({"kind": "language"}, ends, CAUSAL)
    task, network = case.build(), case.network()
    full = [*range(3, 3 + CONTEXT)]
    found = task.predict(network, task.collate(asked([4, 9], full)), 3)
    must_be(found[0], chances(network, [2, 4, 9], -1))
    must_be(found[1], chances(network, full, -1))


def test_what_masks_hide() -> None:
    task, network = MASKED.build(), MASKED.network()
    given = ([4, MASK, 2], [MASK], [3, MASK, 8, MASK, 11])
    found = task.predict(network, task.collate(asked(*given)), 3)
    assert [len(answer["masks"]) for answer in found] == [1, 1, 2]
    for answer, tokens in zip(found, given, strict=True):
        places = [at for at, token in enumerate(tokens) if token == MASK]
        for one, at in zip(answer["masks"], places, strict=True):
            must_be(one, chances(network, tokens, at))


def test_own_modules_predict_too() -> None:
    task = NEXT.build()
    own = nn.Sequential(nn.Embedding(VOCAB, 4), nn.Linear(4, VOCAB)).double()
    found = task.predict(own, task.collate(asked([4, 9, 2], [7])), 3)
    must_be(found[0], own(torch.tensor([2])).softmax(-1)[0].detach())
    must_be(found[1], own(torch.tensor([7])).softmax(-1)[0].detach())


def test_a_text_without_a_mask_is_refused() -> None:
    task = MASKED.build()
    with pytest.raises(InputError, match="text 2 of those given has nothing to fill in; write <ma"):
        task.predict(MASKED.network(), task.collate(asked([MASK], [3])), 3)


def test_batches_move_whole() -> None:
    for case in (NEXT, MASKED):
        task: Language = case.build()
        batch = task.collate(rows(range(3), ahead=case.spec.purpose().ahead, documents=SEVERAL[:3]))
        assert batch.size == 3
        assert batch.to(torch.device("cpu")) is batch
        moved = batch.to(torch.device("meta"))
        kinds = {
            name: value.device.type
            for name, value in vars(moved).items()
            if hasattr(value, "device")
        }
        assert {name for name, kind in kinds.items() if kind == "cpu"} == {
            "rows_N",
            "bytes_N",
            "ids",
        }
