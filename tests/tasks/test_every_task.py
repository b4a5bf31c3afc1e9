"""What holds for every task that reads texts: parts add up, padding is nothing, 8 samples are
learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toy_texts import CASES, CONTEXT, TEXT_CASES, VOCAB, Case, Padded, farthest, gradient

from luthier.model.blueprint import Network
from luthier.signal import Signal
from luthier.tasks import texts as texts_module
from luthier.tasks.task import Loss
from luthier.training.gradient import backward, finish, total

IDS = list(range(8))
every_task = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_text_task = pytest.mark.parametrize("case", TEXT_CASES.values(), ids=TEXT_CASES)


def learned(case: Case, parts: int, mean_of_means: bool = False) -> tuple[Loss, Tensor]:
    """The loss of 8 rows in so many parts, and its gradient as the loop makes it."""
    task, network = case.build(), case.network()
    losses = []
    for ids in np.split(np.array(IDS), parts):
        loss = task.loss(network, task.collate(case.samples(ids.tolist())))
        if mean_of_means:
            loss = Loss(loss.sum / loss.count / parts, torch.ones_like(loss.count) / parts)
        losses.append(backward(loss, parts))
    whole = total(losses)
    parameters = list(network.parameters())
    finish(parameters, whole, parts, clip_norm=None, measure=False)
    used = [p.grad.flatten() for p in parameters if p.grad is not None]
    return whole, torch.cat(used)


@every_task
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_equal_the_whole(case: Case, parts: int) -> None:
    (whole, wanted), (loss, got) = learned(case, 1), learned(case, parts)
    assert float(wanted.abs().max()) > 1e-3
    assert farthest(wanted, got) < 1e-13
    assert loss.sum.item() == pytest.approx(whole.sum.item(), rel=1e-12)
    assert loss.count.item() == pytest.approx(whole.count.item(), rel=1e-12)
    assert loss.parts.keys() == whole.parts.keys()
    for name, part in whole.parts.items():
        assert loss.parts[name].item() == pytest.approx(part.item(), rel=1e-12)


@pytest.mark.parametrize("name", ["next token", "masked", "tag", "tag with crf"])
def test_a_mean_of_means_is_caught(name: str) -> None:
    _, wanted = learned(CASES[name], 1)
    assert farthest(wanted, learned(CASES[name], 4, mean_of_means=True)[1]) > 1e-3


@every_text_task
def test_packed_is_padded(case: Case) -> None:
    """Somebody's own module gets padded rows; here it tells from them where texts end."""
    if case.task.get("crf"):
        pytest.skip("somebody's own module has no layer that joins tags")
    task, inner = case.build(), case.network()
    own = Network.of(Padded(inner), Signal.tokens(CONTEXT, VOCAB))
    batch = task.collate(case.samples(IDS))
    packed, padded = task.loss(inner, batch), task.loss(own, batch)
    own_sum = packed.sum - sum(packed.parts.values())  # a stream of its own adds nothing to ours
    assert padded.sum.item() == pytest.approx(own_sum.item(), rel=1e-12)
    assert farthest(gradient(inner, own_sum), gradient(inner, padded.sum)) < 1e-12
    assert not task.judge(inner, batch).keys() - task.judge(own, batch).keys()
    for name, column in task.judge(inner, batch).items():
        if column.dtype.kind == "U":
            assert column.tolist() == task.judge(own, batch)[name].tolist()
            continue
        np.testing.assert_allclose(column, task.judge(own, batch)[name], rtol=1e-10, atol=1e-12)


@every_text_task
def test_texts_are_learned_one_by_one(case: Case) -> None:
    task, network = case.build(), case.network()
    together = task.loss(network, task.collate(case.samples(IDS)))
    alone = [task.loss(network, task.collate(case.samples([number]))) for number in IDS]
    assert together.sum.item() == pytest.approx(sum(loss.sum.item() for loss in alone), rel=1e-12)
    assert together.count.item() == pytest.approx(sum(loss.count.item() for loss in alone))


@every_text_task
def test_texts_that_are_read_as_one_are_caught(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: a stream without a layout, so that one text sees into the next."""
    task, network = case.build(), case.network()
    batch = task.collate(case.samples([0, 2, 3]))
    wanted = task.judge(network, batch)["loss"]
    layout = texts_module.Layout
    monkeypatch.setattr(
        texts_module.Layout, "packed", classmethod(lambda _, lengths: _shifted(layout, lengths))
    )
    assert np.abs(task.judge(network, batch)["loss"] - wanted).max() > 1e-4


def _shifted(layout: Any, lengths: tuple[int, ...]) -> Any:
    """A layout whose texts each begin a token too late, but for the first."""
    return layout.rows_of([(lengths[0] + 1, *lengths[1:-1], lengths[-1] - 1)], sum(lengths))


@every_task
def test_eight_samples_are_learned_by_heart(case: Case) -> None:
    task, network = case.build(), case.network()
    batch = task.collate(case.samples(IDS))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    first = None
    for _ in range(80):
        loss = task.loss(network, batch)
        own = (loss.sum - sum(loss.parts.values())) / loss.count
        first = own.item() if first is None else first
        optimizer.zero_grad()
        (loss.sum / loss.count).backward()
        optimizer.step()
    columns = task.judge(network, batch)
    metrics = task.metrics(columns)
    assert next(iter(metrics)) == task.headline
    if task.higher_is_better:
        assert metrics[task.headline].value > 0.99
    else:
        assert metrics["accuracy"].value > 0.9
        assert metrics["loss"].value < 0.1 * first
