"""Going on from step k equals never having stopped, bit for bit."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from toy_training import Rows, State, World, copied, differences, stop_after

from luthier.errors import InputError
from luthier.training import loop, noise
from luthier.training.callbacks import Callbacks
from luthier.training.learner import Learner
from luthier.training.optimizer import (
    AdamSpec,
    AdamWSpec,
    LionSpec,
    MuonSpec,
    OptimizerSpec,
    SgdSpec,
)
from luthier.training.settings import TrainingSpec
from luthier.training.state import LoopState

SETTINGS = TrainingSpec(
    epochs=3, batch_size=8, accumulate=2, seed=11, ema_decay=0.9, clip_norm=1.0, log_every_steps=4
)
STEPS = 9
OPTIMIZERS = [
    SgdSpec(learning_rate=0.05, weight_decay=0.1),
    AdamSpec(),
    AdamWSpec(),
    MuonSpec(),
    LionSpec(learning_rate=1e-3),
]


def world(optimizer: OptimizerSpec | None = None, workers: int = 0) -> World:
    return World(
        SETTINGS,
        optimizer or AdamWSpec(),
        rows=Rows(22, noise=0.3),
        dropout=0.4,
        norm=True,
        workers=workers,
        poison=frozenset({4}),
    )


def whole(world: World) -> State:
    made = world.make()
    fitted = world.go(made)
    return copied(made.tensors()), fitted.state


def in_two(world: World, stop_at: int) -> State:
    """Stopped after `stop_at` steps; what was saved goes into a learner of another process."""
    saved: list[tuple[dict[str, dict[str, torch.Tensor]], str]] = []
    first = world.make()

    def save(state: LoopState) -> None:
        saved.append((copied(first.tensors()), json.dumps(state.to_json())))

    world.go(first, callbacks=Callbacks(save=save, stop=stop_after(stop_at)))
    tensors, state = saved[-1]
    torch.manual_seed(999)  # another process has other random numbers
    torch.randn(5)
    second = world.make()
    second.load(tensors)
    fitted = world.go(second, LoopState.from_json(json.loads(state)))
    return copied(second.tensors()), fitted.state


def timeless(state: LoopState) -> LoopState:
    return replace(state, seconds=0, step_seconds=0, waiting_seconds=0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("stop_at", [1, 4, 5, 6])  # 4 and 5: around the step that is skipped
def test_resumed_equals_uninterrupted(optimizer: OptimizerSpec, stop_at: int) -> None:
    expected, state = whole(world(optimizer))
    found, resumed = in_two(world(optimizer), stop_at)
    assert state.step == STEPS
    assert state.skipped == 1
    assert differences(expected, found) == []
    assert timeless(state) == timeless(resumed)


@pytest.mark.parametrize("stop_at", range(1, STEPS + 1))
def test_any_step_is_a_place_to_stop(stop_at: int) -> None:
    assert differences(whole(world())[0], in_two(world(), stop_at)[0]) == []


def test_workers_change_nothing() -> None:
    assert differences(whole(world())[0], in_two(world(workers=2), 5)[0]) == []


def test_resumed_twice() -> None:
    expected, _ = whole(world())
    made, state = world().make(), None
    for steps in (2, 3, STEPS):
        fitted = world().go(made, state, Callbacks(stop=stop_after(steps)))
        fresh = world().make()
        fresh.load(copied(made.tensors()))
        made, state = fresh, fitted.state
    assert differences(expected, copied(made.tensors())) == []


def test_a_finished_run_goes_on_to_nothing() -> None:
    made = world().make()
    fitted = world().go(made)
    before = copied(made.tensors())
    again = world().go(made, fitted.state)
    assert again.reason == "finished"
    assert timeless(again.state) == timeless(fitted.state)
    assert differences(before, copied(made.tensors())) == []


def test_the_same_optimizer_may_go_on() -> None:
    """The schedule multiplies the learning rate of the recipe, not that of the last step."""
    expected, _ = whole(world())
    made = world().make()
    first = world().go(made, callbacks=Callbacks(stop=stop_after(5)))
    world().go(made, first.state)
    assert differences(expected, copied(made.tensors())) == []


def test_the_seed_decides_the_dropout() -> None:
    one, other = world(), world()
    other.settings = SETTINGS.model_copy(update={"seed": 12})
    assert differences(whole(one)[0], whole(other)[0]) != []


def test_torchs_own_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    whole(world())
    assert torch.equal(torch.randn(3), expected)


def test_the_proof_catches_random_numbers_that_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "seed_part", lambda *_: None)

    def seeded_once(world: World) -> State:
        torch.manual_seed(1)
        return whole(world)

    torch.manual_seed(1)
    expected = seeded_once(world())[0]
    torch.manual_seed(1)
    assert differences(expected, in_two(world(), 5)[0]) != []


@pytest.mark.parametrize(
    "lost", ["exp_avg/", "exp_avg_sq/", "step/", "average", "running_mean", "step"]
)
def test_the_proof_catches_lost_state(monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    """The mutant: a part of the state begins anew."""
    load = Learner.load

    def forgetful(self: Learner, tensors: dict[str, dict[str, torch.Tensor]]) -> None:
        fresh = copied(self.tensors())
        for key, named in tensors.items():
            for name in named:
                if name.startswith(lost) or key == lost or name.endswith(lost):
                    named[name] = fresh[key][name]
        load(self, tensors)

    monkeypatch.setattr(Learner, "load", forgetful)
    if lost == "step":
        monkeypatch.setattr(
            LoopState, "from_json", classmethod(lambda cls, data: cls(**{**data, "step": 4}))
        )
    assert differences(whole(world())[0], in_two(world(), 5)[0]) != []


def test_state_of_another_optimizer_is_refused() -> None:
    saved = copied(world(SgdSpec()).make().tensors())
    with pytest.raises(InputError, match=r"optimizer does not fit.*go on with the recipe"):
        world(AdamSpec()).make().load(saved)


def test_state_without_the_average_is_refused() -> None:
    made = world().make()
    saved = copied(made.tensors())
    del saved["average"]
    with pytest.raises(InputError, match="holds optimizer, weights; wanted average, optimizer"):
        made.load(saved)


def test_weights_of_another_network_are_refused_and_nothing_is_copied() -> None:
    made = world().make()
    before = copied(made.tensors())
    saved = copied(before)
    saved["weights"]["0.weight"] = torch.ones(9, 2, 3, 3)
    saved["weights"]["0.bias"] = torch.ones(4)
    with pytest.raises(InputError, match=r"has a tensor \(9, 2, 3, 3\) for 0.weight, wanted"):
        made.load(saved)
    assert differences(before, copied(made.tensors())) == []


def test_a_state_of_other_keys_is_a_broken_checkpoint() -> None:
    with pytest.raises(AssertionError, match="other keys: \\['speed'\\]"):
        LoopState.from_json({**LoopState().to_json(), "speed": 1})


def test_parts_and_steps_draw_their_own_numbers() -> None:
    drawn = set()
    for seed in (0, 1):
        for step in range(3):
            for part in range(3):
                noise.seed_part(torch.device("cpu"), seed, step, part)
                drawn.add(torch.rand(()).item())
    assert len(drawn) == 18
