"""A loss or a gradient that is not finite changes nothing, and a run of them stops the run."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from test_resume import OPTIMIZERS
from torch import Tensor, nn
from toy_training import CLASSES, Rows, World, copied, differences, learner, stop_after

from luthier.data.target import Labels
from luthier.errors import DivergedError
from luthier.tasks.classify import ClassifyBatch, ClassifySpec
from luthier.tasks.task import Loss
from luthier.training import guard, loop
from luthier.training.callbacks import Callbacks
from luthier.training.events import Event, Logged
from luthier.training.guard import Guard
from luthier.training.optimizer import AdamWSpec, OptimizerSpec, skips_on_device
from luthier.training.settings import TrainingSpec
from luthier.training.state import LoopState


def world(poison: set[int], optimizer: OptimizerSpec | None = None, **changes: Any) -> World:
    settings = TrainingSpec(
        **{"steps": 12, "batch_size": 8, "accumulate": 2, "log_every_steps": 3, **changes}
    )
    return World(settings, optimizer or AdamWSpec(), norm=True, poison=frozenset(poison))


def step_by_step(world: World, stops: list[int]) -> list[dict[str, dict[str, Tensor]]]:
    """The tensors at each of the `stops`."""
    made, state, found = world.make(), LoopState(), []
    for stop in stops:
        stopping = Callbacks(stop=stop_after(stop - state.step))
        state = world.go(made, state, stopping).state
        found.append(copied(made.tensors()))
    return found


@pytest.fixture(params=["asks", "tells the device"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Guard", partial(Guard, ask=request.param == "asks"))


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("at", [0, 4])
def test_a_step_that_is_not_finite_changes_nothing(optimizer: OptimizerSpec, at: int) -> None:
    stops = [at, at + 1, at + 2] if at else [1, 2]
    found = step_by_step(world({at}, optimizer, ema_decay=0.9), stops)
    if at:
        assert differences(found[0], found[1]) == []
    else:
        assert differences(copied(world({0}, optimizer, ema_decay=0.9).make().tensors()),
                           found[0]) == []  # fmt: skip
    assert differences(found[-2], found[-1]) != []
    assert all(bool(t.isfinite().all()) for named in found[-1].values() for t in named.values())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda spec: spec.kind)
def test_telling_the_device_is_the_same_as_asking(
    optimizer: OptimizerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = step_by_step(world({0, 4, 5}, optimizer, ema_decay=0.9), [12])[0]
    monkeypatch.setattr(loop, "Guard", partial(Guard, ask=False))
    told = step_by_step(world({0, 4, 5}, optimizer, ema_decay=0.9), [12])[0]
    averages, told_averages = asked.pop("average"), told.pop("average")
    assert differences(asked, told) == []
    for name, average in averages.items():
        torch.testing.assert_close(average, told_averages[name], rtol=1e-13, atol=1e-15)


def test_mutants_of_the_guard_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(guard._Buffers, "put_back", lambda self: None)
        before, after = step_by_step(world({4}), [4, 5])
        faults = differences(before, after)
        assert faults == [
            "weights: 1.running_mean",
            "weights: 1.running_var",
            "weights: 1.num_batches_tracked",
        ]

    class Credulous(Guard):
        def end(self, step: int, witness: Tensor) -> bool:
            return super().end(step, torch.ones_like(witness))

    monkeypatch.setattr(loop, "Guard", Credulous)
    before, after = step_by_step(world({4}), [4, 5])
    assert "weights: 0.weight" in differences(before, after)


class Cliff(torch.autograd.Function):
    """The identity, with an infinite gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return torch.full_like(gradients[0], torch.inf)


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_an_infinite_gradient_of_a_finite_loss_is_skipped(clip_norm: float | None) -> None:
    class Treacherous:
        """Classifies, but every other step falls off the cliff."""

        headline, higher_is_better = "accuracy", True

        def __init__(self) -> None:
            self.inner = ClassifySpec().build(Labels(names=CLASSES))
            self.collate, self.calls = self.inner.collate, 0

        def loss(self, network: nn.Module, batch: ClassifyBatch) -> Loss:
            loss = self.inner.loss(network, batch)
            self.calls += 1
            bad = self.calls % 2 == 0
            return Loss(Cliff.apply(loss.sum), loss.count) if bad else loss

    ours = world(set(), accumulate=1, steps=6, clip_norm=clip_norm)
    ours.task = Treacherous()  # type: ignore[assignment]
    made = ours.make()
    fitted = ours.go(made)
    assert fitted.state.skipped == 3
    assert made.is_finite()


@pytest.mark.usefixtures("_both_ways")
def test_too_many_in_a_row_stop_the_run() -> None:
    made = world(set()).make()
    bad = world({3, 4, 5}, max_skipped_in_a_row=3)
    with pytest.raises(DivergedError) as caught:
        bad.go(made)
    assert str(caught.value).startswith(
        "by step 6, the loss or the gradient was not finite in 3 steps in a row (3 in all); they "
        "were skipped, so the last checkpoint is good; begin again, in another --out"
    )
    assert made.is_finite()


@pytest.mark.usefixtures("_both_ways")
def test_as_many_with_one_between_do_not() -> None:
    fitted = world({3, 4, 6, 7}, max_skipped_in_a_row=3).go(world(set()).make())
    assert (fitted.reason, fitted.state.skipped) == ("finished", 4)


def test_the_row_goes_on_after_a_resume() -> None:
    bad = world({3, 4, 5}, max_skipped_in_a_row=3)
    made = bad.make()
    state = bad.go(made, callbacks=Callbacks(stop=stop_after(5))).state
    assert (state.step, state.skipped_in_a_row) == (5, 2)
    with pytest.raises(DivergedError, match="3 steps in a row"):
        bad.go(made, state)


def test_what_was_skipped_is_told_and_not_in_the_loss() -> None:
    told: list[Event] = []
    world({1, 3, 4, 5}).go(world(set()).make(), callbacks=Callbacks(hooks=(told.append,)))
    rows = [event for event in told if isinstance(event, Logged)]
    assert [row.skipped for row in rows] == [1, 4, 4, 4]
    assert rows[0].loss is not None
    assert rows[1].loss is None  # all three of its steps were skipped


def test_weights_that_are_not_finite_are_not_saved() -> None:
    made = world(set()).make()

    def spoil(event: Event) -> None:
        if isinstance(event, Logged):
            made.placed.network.get_parameter("0.bias").data.fill_(torch.inf)

    saved: list[int] = []
    callbacks = Callbacks(hooks=(spoil,), save=lambda state: saved.append(state.step))
    with pytest.raises(DivergedError, match="a weight is not finite after step 3; no checkpoint"):
        world(set()).go(made, callbacks=callbacks)
    assert saved == []


def test_other_optimizers_are_asked() -> None:
    plain = torch.optim.Adadelta([nn.Parameter(torch.zeros(1))])
    unfused = torch.optim.Adam([nn.Parameter(torch.zeros(1))], fused=False)
    assert not skips_on_device(plain)
    assert not skips_on_device(unfused)
    assert all(skips_on_device(learner(nn.Linear(2, 2), spec).optimizer) for spec in OPTIMIZERS)


def test_rows_are_what_they_seem() -> None:
    assert len(Rows(7)) == 7
    assert Rows().name(3) == "train[3]"
