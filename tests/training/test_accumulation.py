"""A batch in parts is the batch: whatever the parts, the weights and the last, short one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_training import CLASSES, Rows, World, copied, network

from luthier.data.target import Labels
from luthier.tasks.classify import ClassifySpec
from luthier.tasks.task import Loss
from luthier.training import loop
from luthier.training.gradient import backward, finish, total
from luthier.training.optimizer import AdamSpec, MuonSpec, OptimizerSpec, SgdSpec
from luthier.training.settings import TrainingSpec

WEIGHTED = ClassifySpec(class_weights={"ant": 0.2, "bee": 3.0}, label_smoothing=0.1)


def trained(
    accumulate: int, optimizer: OptimizerSpec, clip_norm: float | None = None
) -> dict[str, torch.Tensor]:
    settings = TrainingSpec(
        epochs=2, batch_size=8, accumulate=accumulate, seed=3, clip_norm=clip_norm
    )
    # 22 rows: two batches of 8, and one of 6, of which a part of 4 and one of 2 are made.
    world = World(settings, optimizer, task=WEIGHTED.build(Labels(names=CLASSES)), rows=Rows(22))
    made = world.make()
    world.go(made)
    return copied(made.tensors())["weights"]


def farthest(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    return max(float((left[name] - right[name]).abs().max()) for name in left)


@pytest.mark.parametrize("accumulate", [2, 4, 8])
@pytest.mark.parametrize(
    "optimizer", [SgdSpec(learning_rate=0.1), AdamSpec(), MuonSpec()], ids=lambda spec: spec.kind
)
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_parts_equal_the_whole(
    accumulate: int, optimizer: OptimizerSpec, clip_norm: float | None
) -> None:
    whole = trained(1, optimizer, clip_norm)
    assert farthest(whole, trained(accumulate, optimizer, clip_norm)) < 1e-12
    assert farthest(whole, network().state_dict()) > 1e-3  # it did train


@pytest.fixture
def mean_of_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: each part is divided by its own count, and the parts are averaged."""

    def own_mean(loss: Loss, parts: int) -> Loss:
        return backward(Loss(loss.sum / loss.count / parts, torch.ones_like(loss.count)), 1)

    def one(losses: list[Loss]) -> Loss:
        return Loss(total(losses).sum, torch.ones_like(losses[0].count))

    monkeypatch.setattr(loop, "backward", own_mean)
    monkeypatch.setattr(loop, "total", one)


@pytest.mark.usefixtures("mean_of_means")
def test_the_proof_catches_a_mean_of_means() -> None:
    spec = SgdSpec(learning_rate=0.1)
    assert farthest(trained(1, spec), trained(4, spec)) > 1e-3


def test_a_part_without_weight_counts_for_nothing() -> None:
    task = ClassifySpec(class_weights={"ant": 0.0}).build(Labels(names=CLASSES))
    net = network()
    ants, others = Rows().read(_ids(0, 3, 6), 0), Rows().read(_ids(1, 2, 4), 0)
    losses = [backward(task.loss(net, task.collate(rows)), 2) for rows in (ants, others)]
    finish(list(net.parameters()), total(losses), 2, clip_norm=None, measure=False)
    alone = network()
    backward(task.loss(alone, task.collate(others)), 1)
    for left, right in zip(net.parameters(), alone.parameters(), strict=True):
        assert left.grad is not None
        torch.testing.assert_close(left.grad, right.grad, rtol=0, atol=1e-14)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_batch_without_weight_has_the_gradient_zero(parts: int) -> None:
    task = ClassifySpec(class_weights={"ant": 0.0}).build(Labels(names=CLASSES))
    net = network()
    ants = task.collate(Rows().read(_ids(0, 3), 0))
    losses = [backward(task.loss(net, ants), parts) for _ in range(parts)]
    checked = finish(list(net.parameters()), total(losses), parts, clip_norm=1.0, measure=True)
    assert checked.witness.isfinite()
    assert checked.norm == 0
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())


def test_clipping_is_that_of_torch() -> None:
    task = ClassifySpec().build(Labels(names=CLASSES))
    ours, theirs = network(), network()
    batch = task.collate(Rows().read(_ids(0, 1, 2, 3), 0))
    loss = backward(task.loss(ours, batch), 1)
    checked = finish(list(ours.parameters()), loss, 1, clip_norm=0.1, measure=False)
    backward(task.loss(theirs, batch), 1)
    norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.1)
    assert checked.norm is not None
    torch.testing.assert_close(checked.norm, norm)
    for left, right in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(left.grad, right.grad, rtol=1e-12, atol=0)


def test_a_loss_of_nothing_is_a_broken_invariant() -> None:
    frozen = network().requires_grad_(False)
    loss = Loss(torch.tensor(1.0), torch.tensor(1.0))
    with pytest.raises(AssertionError, match="depends on no parameter"):
        finish(list(frozen.parameters()), loss, 1, clip_norm=None, measure=False)


def _ids(*rows: int) -> np.ndarray:
    return np.array(rows)
