"""What a teacher says, as a part of the loss: by its formula, in parts, and that it is learned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from toy_texts import CASES, CAUSAL, CLASSES, DOCUMENTS, Case

from luthier.errors import SpecError
from luthier.model.linear_divergence import Scored, divergence, linear_divergence
from luthier.model.stream import Stream
from luthier.spec import parse
from luthier.tasks.distill import Distilled, DistillSpec
from luthier.tasks.forward import forward
from luthier.tasks.texts import read

TOKENS = Case({"kind": "language"}, DOCUMENTS, CAUSAL)
LABELS = Case({"kind": "classify"}, CLASSES)
SPEC = DistillSpec(teacher="big", weight=0.3, temperature=3.0)
BOTH = {"tokens": TOKENS, "masked tokens": CASES["masked"], "classes": LABELS}


def scores(case: Case, network: Any, batch: Any) -> Tensor:
    """Of all targets, at once."""
    if case is LABELS:
        return read(network, batch.inputs)[0]
    return batch.chosen(forward(network, batch.tokens_BT, Stream(layout=batch.layout)))


def apart(mine: Tensor, theirs: Tensor, temperature: float) -> Tensor:
    p, q = ((y / temperature).softmax(1) for y in (theirs, mine))
    return temperature**2 * (p * (p.log() - q.log())).sum()


@pytest.mark.parametrize("case", BOTH.values(), ids=BOTH.keys())
def test_the_loss(case: Case) -> None:
    """In float64; the teacher stays as it is."""
    task, student, teacher = case.build(), case.network(seed=1), case.network(seed=2)
    batch = task.collate(case.samples(range(8)))
    distilled = Distilled(SPEC, task, teacher)
    found = distilled.loss(student, batch)
    own = task.loss(student, batch)
    far = apart(scores(case, student, batch), scores(case, teacher, batch), 3.0)
    assert found.sum.item() == pytest.approx((0.7 * own.sum + 0.3 * far).item(), rel=1e-12)
    assert found.count == own.count
    assert found.parts["teacher"].item() == pytest.approx(0.3 * far.item(), rel=1e-12)
    wanted = torch.autograd.grad(0.7 * own.sum + 0.3 * far, [*student.parameters()])
    made = torch.autograd.grad(found.sum, [*student.parameters()])
    for one, other in zip(made, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-13)
    assert all(weight.grad is None for weight in teacher.parameters())


@pytest.mark.parametrize("case", [TOKENS, LABELS], ids=["tokens", "classes"])
def test_parts_of_a_batch_teach_what_the_batch_does(case: Case) -> None:
    task, student = case.build(), case.network(seed=1)
    distilled = Distilled(SPEC, task, case.network(seed=2))
    found = []
    for cut in ([range(8)], [range(2), range(2, 7), range(7, 8)]):
        student.zero_grad()
        for ids in cut:
            distilled.loss(student, task.collate(case.samples(ids))).sum.backward()
        found.append(torch.cat([p.grad.flatten() for p in student.parameters()]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-13)


def test_slices_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, w, b, z, v = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((8, 4), (7, 4), (7,), (8, 5), (7, 5))
    )
    whole = divergence(1.5 * ((x @ w.T + b) / 1.5).tanh(), z @ v.T, 2.0)
    monkeypatch.setattr("luthier.model.linear_cross_entropy.SLICE_ELEMENTS", 1)
    monkeypatch.setattr("luthier.model.linear_cross_entropy.LEAST_POSITIONS", 3)
    cut = linear_divergence(Scored(x, w, b, 1.5), Scored(z, v), 2.0)
    torch.testing.assert_close(cut, whole)
    for one, other in zip(*(torch.autograd.grad(y, (x, w, b)) for y in (cut, whole)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(divergence(z @ v.T, z @ v.T, 2.0), whole.new_zeros(()))


def test_a_student_comes_near_its_teacher() -> None:
    """With no labels at all: what it says, it has from the teacher."""
    task, student, teacher = TOKENS.build(), TOKENS.network(seed=1), TOKENS.network(seed=2)
    batch = task.collate(TOKENS.samples(range(8)))
    distilled = Distilled(DistillSpec(teacher="big", weight=1.0), task, teacher)
    optimizer = torch.optim.Adam(student.parameters(), 0.03)
    before = distilled.loss(student, batch).sum.item()
    for _ in range(60):
        loss = distilled.loss(student, batch)
        optimizer.zero_grad()
        loss.sum.backward()
        optimizer.step()
    assert distilled.loss(student, batch).sum.item() < 0.2 * before


def test_what_was_said_once_is_what_would_be_said() -> None:
    task, student = LABELS.build(), LABELS.network(seed=1)
    batch = task.collate(LABELS.samples(range(8)))
    distilled = Distilled(SPEC, task, LABELS.network(seed=2))
    wanted = distilled.loss(student, batch)
    known = torch.full((99, 3), torch.nan, dtype=torch.float64)[:, : distilled.said(batch).shape[1]]
    known[batch.ids] = distilled.said(batch)
    distilled.remember(known)
    assert distilled.loss(student, batch).sum.item() == wanted.sum.item()


def test_settings() -> None:
    with pytest.raises(SpecError, match="temperature"):
        parse(DistillSpec, {"teacher": "x", "temperature": 0.5})
    with pytest.raises(SpecError, match="teacher"):
        parse(DistillSpec, {})
