"""What the loop does between steps: tells, evaluates, saves, stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from toy_training import Rows, World, copied, differences, learner, network, stop_after

from luthier.metrics.interval import Metric
from luthier.training import loop
from luthier.training.callbacks import Callbacks
from luthier.training.events import Evaluated, Event, Logged, Saved, Started, Stopped, Ticked
from luthier.training.optimizer import SgdSpec
from luthier.training.settings import TrainingSpec
from luthier.training.state import LoopState


@dataclass(frozen=True)
class Found:
    metrics: Mapping[str, Metric]
    loss: Metric
    headline: str = "accuracy"
    samples: Mapping[str, str] = field(default_factory=dict)


def scores(*values: float) -> Any:
    """An evaluation that finds these accuracies, one after the other."""
    left = iter(values)

    def evaluate() -> Found:
        value = next(left)
        loss = Metric(value=1 - value, low=0, high=1, n=9)
        return Found({"accuracy": Metric(value=value, low=0, high=1, n=9)}, loss)

    return evaluate


def world(**changes: Any) -> World:
    """Three steps an epoch."""
    settings = TrainingSpec(**{"epochs": 3, "batch_size": 8, "log_every_steps": 4, **changes})
    return World(settings, rows=Rows(22))


def told(
    world: World, start: LoopState | None = None, **callbacks: Any
) -> tuple[list[Event], LoopState]:
    events: list[Event] = []
    given = Callbacks(
        hooks=(lambda event: events.append(event) if not isinstance(event, Ticked) else None,),
        **callbacks,
    )
    state = world.go(world.make(), start, given).state
    return events, state


def steps(events: list[Event], kind: type) -> list[int]:
    return [event.step for event in events if isinstance(event, kind)]


def test_what_is_told_and_when() -> None:
    saved: list[LoopState] = []
    events, state = told(world(), evaluate=scores(0.5, 0.8, 0.7), save=saved.append)
    assert [(type(event), event.step) for event in events] == [
        (Started, 0),
        (Evaluated, 3),
        (Saved, 3),
        (Logged, 4),
        (Evaluated, 6),
        (Saved, 6),
        (Logged, 8),
        (Logged, 9),
        (Evaluated, 9),
        (Saved, 9),
        (Stopped, 9),
    ]
    assert [event.best for event in events if isinstance(event, Evaluated)] == [True, True, False]
    assert [event.best for event in events if isinstance(event, Saved)] == [True, True, False]
    assert (state.best_step, state.best_value, state.evaluations_since_best) == (6, 0.8, 1)
    assert [one.step for one in saved] == [3, 6, 9]
    assert saved[-1].evaluated_step == 9
    assert state.rows == 66
    assert isinstance(events[0], Started)
    assert (events[0].total_steps, events[0].steps_per_epoch) == (9, 3)
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "finished"


def test_the_losses_told_are_means_over_all_rows() -> None:
    """With the learning rate next to nothing, the mean of an epoch is the loss on all rows."""
    ours = world(epochs=1, log_every_steps=3)
    ours.optimizer = SgdSpec(learning_rate=1e-30)
    events, _ = told(ours)
    net, rows = network(), Rows(22).read(np.arange(22), 0)
    loss = ours.task.loss(net, ours.task.collate(rows))
    logged = next(event for event in events if isinstance(event, Logged))
    assert logged.loss == pytest.approx((loss.sum / loss.count).item(), rel=1e-12)
    assert logged.gradient_norm > 0
    assert logged.rows_per_second > 0
    assert logged.epoch == 1.0


def test_the_learning_rate_told_is_the_one_used() -> None:
    events, _ = told(world(log_every_steps=1))
    rates = [event.learning_rate for event in events if isinstance(event, Logged)]
    ours = world()
    assert rates == [1e-3 * ours.schedule.multiplier(step, 9) for step in range(9)]


def test_intervals_in_steps() -> None:
    ours = world(evaluate_every_steps=4, checkpoint_every_steps=5)
    events, _ = told(ours, evaluate=scores(0.1, 0.2, 0.3), save=lambda _: None)
    assert steps(events, Evaluated) == [4, 8, 9]
    assert steps(events, Saved) == [5, 9]


def test_keeping_the_best_saves_it() -> None:
    ours = world(evaluate_every_steps=2, checkpoint_every_steps=8, keep_best=True)
    found = scores(0.1, 0.9, 0.3, 0.9, 0.2)
    events, state = told(ours, evaluate=found, save=lambda _: None)
    assert steps(events, Saved) == [2, 4, 8, 9]
    assert state.best_step == 4  # of equal ones the first


def test_patience() -> None:
    saved: list[LoopState] = []
    ours = world(epochs=20, patience=2)
    events, state = told(ours, evaluate=scores(0.5, 0.6, 0.6, 0.5), save=saved.append)
    assert (state.step, state.best_step, saved[-1].step) == (12, 6, 12)
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "patience"
    again, _ = told(ours, start=saved[-1], evaluate=scores())
    assert [type(event) for event in again] == [Started, Stopped]


def test_a_lower_headline_may_be_the_better_one() -> None:
    ours = world()
    ours.task.higher_is_better = False
    _, state = told(ours, evaluate=scores(0.5, 0.4, 0.6))
    assert (state.best_step, state.best_value) == (6, 0.4)


def test_max_minutes_counts_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = world(epochs=1000, max_minutes=1.0)
    saved: list[LoopState] = []
    before = LoopState(step=4, seconds=59.99, step_seconds=50.0, rows=30)
    events, state = told(ours, before, evaluate=scores(*[0.5] * 99), save=saved.append)
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "max_minutes"
    assert 4 < state.step < 3000
    assert saved[-1].step == state.step == state.evaluated_step
    assert saved[-1].seconds >= 60


def test_a_signal_saves_at_once_and_the_evaluation_is_made_up_for() -> None:
    saved: list[LoopState] = []
    ours = world(keep_best=True)
    events, _ = told(ours, evaluate=scores(), save=saved.append, stop=stop_after(3))
    assert [type(event) for event in events] == [Started, Saved, Stopped]
    assert saved[-1].step == 3
    events, state = told(ours, saved[-1], evaluate=scores(0.9, 0.5, 0.4))
    assert steps(events, Evaluated) == [3, 6, 9]
    assert (state.step, state.best_step) == (9, 3)


def test_a_signal_with_the_last_step_changes_nothing() -> None:
    events, _ = told(world(), stop=stop_after(9))
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "finished"


def test_evaluations_see_the_averages_and_change_nothing() -> None:
    ours = world(ema_decay=0.9)
    made = ours.make()
    seen: list[bool] = []

    def evaluate() -> Found:
        weight = made.placed.network.get_parameter("0.weight")
        assert made.average is not None
        seen.append(torch.equal(weight, made.average.tensors["0.weight"]))
        return scores(0.5)()  # type: ignore[no-any-return]

    ours.go(made, callbacks=Callbacks(evaluate=evaluate))
    assert seen == [True, True, True]
    alone = ours.make()
    ours.go(alone)
    assert differences(copied(made.tensors()), copied(alone.tensors())) == []
    assert not torch.equal(made.finished()["0.weight"], made.tensors()["weights"]["0.weight"])


def test_time_outside_of_steps_is_no_training_time() -> None:
    now = 0.0

    def clock() -> float:
        return now

    meter = loop.Meter(LoopState(seconds=100, step_seconds=60, rows=600), clock)
    now = 5.0
    meter.add_step(rows=50, waiting_seconds=1.0)
    with meter.pause():
        now = 25.0
    reading = meter.now()
    assert (meter.seconds(), reading.seconds, reading.rows) == (125.0, 65.0, 650)
    assert reading.rows_per_second == 10
    assert reading.waiting_share == pytest.approx(1 / 65)
    assert (reading - reading).rows_per_second == 0
    assert (reading - reading).seconds_per_step == 0
    assert (reading - reading).waiting_share == 0


def test_whoever_watches_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "TICK_SECONDS", 0.0)
    events: list[Event] = []
    world().go(world().make(), callbacks=Callbacks(hooks=(events.append,)))
    ticks = [event for event in events if isinstance(event, Ticked)]
    assert [tick.step for tick in ticks] == [1, 2, 3, 5, 6, 7]  # the others are logged
    assert all(tick.loss is not None and tick.seconds_left > 0 for tick in ticks)


def test_the_state_knows_its_rates() -> None:
    state = LoopState(rows=100, step_seconds=50.0, waiting_seconds=5.0)
    assert (state.rows_per_second, state.waiting_share) == (2.0, 0.1)
    assert (LoopState().rows_per_second, LoopState().waiting_share) == (0.0, 0.0)


def test_an_error_of_the_loader_closes_it() -> None:
    closed: list[bool] = []

    class Failing:
        steps_per_epoch = 3

        def batches(self, start_step: int, stop_step: int) -> Any:
            try:
                yield from world().loader().batches(0, 1)
                raise OSError("gone")
            finally:
                closed.append(True)

    made = learner(network())
    with pytest.raises(OSError, match="gone"):
        loop.fit(made, world().task, Failing(), lambda _: 1.0, TrainingSpec(epochs=1))
    assert closed == [True]
