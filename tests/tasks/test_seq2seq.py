"""What an encoder and a decoder learn, and what they write."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from toy_pairs import GRU, NETWORKS, TARGETS, TRANSFORMER, network, samples, task
from toy_texts import farthest, gradient

from luthier.errors import InputError, ShapeError
from luthier.model.blueprint import LayersSpec, build
from luthier.model.layout import Layout
from luthier.model.stream import Source, State, Stream
from luthier.signal import Signal
from luthier.tasks import pair_batch
from luthier.tasks.pair_batch import decoding, encoded
from luthier.tasks.task import Loss
from luthier.training.gradient import backward, finish, total

IDS = list(range(8))
every_network = pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS)


def learned(
    model: dict[str, Any], parts: int, mean_of_means: bool = False
) -> tuple[Loss, torch.Tensor]:
    """The loss of 8 pairs in so many parts, and its gradient as the loop makes it."""
    made, net = task(label_smoothing=0.1), network(model)
    losses = []
    for ids in np.split(np.array(IDS), parts):
        loss = made.loss(net, made.collate(samples(ids.tolist())))
        if mean_of_means:
            loss = Loss(loss.sum / loss.count / parts, torch.ones_like(loss.count) / parts)
        losses.append(backward(loss, parts))
    whole, parameters = total(losses), list(net.parameters())
    finish(parameters, whole, parts, clip_norm=None, measure=False)
    return whole, torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


@every_network
@pytest.mark.parametrize("parts", [2, 8])
def test_parts_equal_the_whole(model: dict[str, Any], parts: int) -> None:
    (whole, wanted), (loss, got) = learned(model, 1), learned(model, parts)
    assert float(wanted.abs().max()) > 1e-3
    assert farthest(wanted, got) < 1e-13
    assert loss.count.item() == whole.count.item() == sum(TARGETS) + 8
    assert loss.sum.item() == pytest.approx(whole.sum.item(), rel=1e-12)


def test_a_mean_of_means_is_caught() -> None:
    _, wanted = learned(TRANSFORMER, 1)
    assert farthest(wanted, learned(TRANSFORMER, 4, mean_of_means=True)[1]) > 1e-3


@every_network
def test_what_is_beside_a_pair_and_padding_change_nothing(
    model: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs alone, together without padding, and together with padding at the right."""
    made, net = task(), network(model)
    alone = [made.judge(net, made.collate(samples([number])))["nats"][0] for number in IDS]
    together = made.loss(net, made.collate(samples(IDS)))
    own = together.sum - sum(together.parts.values())
    assert own.item() == pytest.approx(sum(alone), rel=1e-12)

    batch = made.collate(samples(IDS))
    assert batch.read is not None
    padded_own = _padded(net, batch, made)
    assert padded_own.item() == pytest.approx(own.item(), rel=1e-12)
    assert farthest(gradient(net, own), gradient(net, padded_own)) < 1e-12


def _padded(net: Any, batch: Any, made: Any) -> torch.Tensor:
    """The loss where each text has a row, with padding behind it."""

    def rows(texts: Any) -> tuple[torch.Tensor, Layout]:
        layout = Layout.padded(texts.lengths)
        parts = torch.split(texts.tokens_S, list(texts.lengths))
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), layout

    source, source_layout = rows(batch.sources)
    x, layout = rows(batch.read)
    read = net.encode(source, Stream(layout=source_layout))
    scores = net(x, Stream(layout=layout, source_BSD=read, source_layout=source_layout))
    wanted = scores.flatten(0, 1)[layout.present_S]
    return torch.nn.functional.cross_entropy(wanted, batch.targets_N, reduction="sum")


@every_network
def test_step_by_step_is_the_whole(model: dict[str, Any]) -> None:
    net, made = network(model).eval(), task()
    batch = made.collate(samples([0, 2, 5]))
    source, stream = encoded(net, batch)
    assert batch.read is not None
    for number, tokens in enumerate(torch.split(batch.read.tokens_S, list(batch.read.lengths))):
        x = tokens[None].repeat(3, 1)
        _, whole = decoding(pair_batch.Texts(x.flatten(), None, (len(tokens),) * 3), source, stream)
        wanted = net(x, whole)[number]
        state = State(capacity=len(tokens))
        steps = []
        for place in range(len(tokens)):
            h, state = net.remember(x[:, place : place + 1], state, None if place else source)
            steps.append(net.head(h)[number, 0])
        assert farthest(torch.stack(steps), wanted) < 1e-12


@every_network
def test_rows_with_one_source_remember_it_once(model: dict[str, Any]) -> None:
    """Three texts of each source, as a beam search writes them, and one row each."""
    net, made = network(model).eval(), task()
    source, _ = encoded(net, made.collate(samples([0, 2])))
    x = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9], [3, 1, 2], [6, 4, 5], [9, 7, 8]])
    opening = torch.zeros((2, 1), dtype=torch.int64)
    _, state = net.remember(opening, State(capacity=9), source)
    beams = state.spread(3)
    order = [1, 1, 0, 5, 4, 3]
    h, beams = net.remember(x[:, :1], beams)
    h, beams = net.remember(x[:, 1:2], beams.of_rows(order))
    for row, before in enumerate(order):
        number = row // 3
        one, _ = encoded(net, made.collate(samples([[0, 2][number]])))
        _, alone = net.remember(opening[:1], State(capacity=9), one)
        _, alone = net.remember(x[before : before + 1, :1], alone)
        wanted, _ = net.remember(x[row : row + 1, 1:2], alone)
        assert farthest(wanted[0], h[row]) < 1e-12
    picked = beams.of_rows([3, 4, 5])
    wanted, _ = net.remember(x[:, 2:], beams)
    got, _ = net.remember(x[3:, 2:], picked)
    assert farthest(wanted[3:], got) < 1e-12


def test_label_smoothing_is_its_formula() -> None:
    net = network(GRU)
    batch = task().collate(samples(IDS))
    source, stream = encoded(net, batch)
    assert batch.read is not None
    x, stream = decoding(batch.read, source, stream)
    log_p = net(x, stream).flatten(0, 1).log_softmax(-1)
    assert batch.targets_N is not None
    right = log_p.gather(1, batch.targets_N[:, None]).sum()
    wanted = -(0.8 * right + 0.2 * log_p.mean(1).sum())
    loss = task(label_smoothing=0.2).loss(net, batch)
    assert loss.sum.item() == pytest.approx(wanted.item(), rel=1e-12)
    plain = task().loss(net, batch).sum.item()
    assert plain == pytest.approx(-right.item(), rel=1e-12)
    judged = task(label_smoothing=0.2).while_training().judge(net, batch)
    assert judged["nats"].sum() == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("name", ["transformer", "gru"])
def test_learns_8_pairs_by_heart_and_writes_them(name: str) -> None:
    wide = json.loads(json.dumps(NETWORKS[name]).replace('"width": 16', '"width": 32'))
    made, net = task(beams=2), network(wide).float()
    batch = made.collate(samples(IDS))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.9, 0.98))
    for _ in range(150):
        loss = made.loss(net, batch)
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    columns = made.judge(net.eval(), batch)
    assert columns["output"].tolist() == [row.target for row in batch.rows or ()]
    metrics = made.metrics(columns)
    assert metrics["chrf"].value == pytest.approx(100)
    assert metrics["accuracy"].value == 1
    assert next(iter(metrics)) == made.headline == "bleu"
    said = made.predict(net, batch, top=2)
    assert said[3]["output"] == columns["output"][3]
    assert 1 <= len(said[3]["top"]) <= 2


def test_while_training_only_the_loss_is_measured() -> None:
    made = task().while_training()
    columns = made.judge(network(GRU), made.collate(samples(IDS)))
    assert "output" not in columns
    assert made.headline == next(iter(made.metrics(columns))) == "loss"
    assert not made.higher_is_better
    assert made.details(columns) == {}


def test_a_source_of_another_width_is_refused_with_its_place() -> None:
    narrow = {**GRU, "decoder": [*GRU["decoder"][:2], {"kind": "cross_attention", "heads": 1}]}
    with pytest.raises(ShapeError, match=r"decoder\[2\].*width 16.*20; set source_width"):
        network(narrow)


def test_an_encoder_that_pools_is_refused() -> None:
    pooled = {**GRU, "encoder": [*GRU["encoder"], {"kind": "global_pool"}]}
    with pytest.raises(ShapeError, match=r"model\.encoder.*wanted a sequence"):
        network(pooled)


def test_tokens_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"model\.decoder.*share_tokens: false"):
        network({**GRU, "share_tokens": True})


def test_a_network_without_an_encoder_is_refused() -> None:
    spec = LayersSpec.model_validate({"layers": [{"kind": "tokens", "width": 8}]})
    made = task()
    net = build(spec, Signal.tokens(9, 17)).to_empty(device="cpu")
    with pytest.raises(InputError, match="an encoder and a decoder"):
        made.loss(net, made.collate(samples(IDS)))


def test_one_table_serves_both_sides() -> None:
    net = network(TRANSFORMER)
    names = {name for name, _ in net.named_parameters() if "table" in name or "head" in name}
    assert names == {"encoder.0.table.weight"}
    apart = network({**TRANSFORMER, "share_tokens": False})
    tables = {name for name, _ in apart.named_parameters() if "table" in name}
    assert tables == {"encoder.0.table.weight", "layers.0.table.weight"}
    assert isinstance(Source(torch.zeros(2, 3, 4), None).count, int)
