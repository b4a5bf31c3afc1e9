"""The training section of a recipe."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.errors import SpecError
from luthier.spec import parse, plain
from luthier.training.settings import TrainingSpec


def test_ten_epochs_if_nothing_is_said() -> None:
    assert plain(TrainingSpec()) == {"epochs": 10}
    assert plain(parse(TrainingSpec, {"steps": 5, "seed": 1})) == {"steps": 5, "seed": 1}
    assert TrainingSpec().total_steps(7) == 70
    assert TrainingSpec(steps=5).total_steps(7) == 5


def test_what_is_read_is_read_again() -> None:
    spec = parse(TrainingSpec, {"steps": 5, "track": ["wandb"], "max_minutes": 2})
    assert parse(TrainingSpec, spec.model_dump(mode="json", exclude_none=True)) == spec


def test_intervals() -> None:
    assert TrainingSpec().evaluation_interval(7) == 7
    assert TrainingSpec(evaluate_every_epochs=2).evaluation_interval(7) == 14
    assert TrainingSpec(evaluate_every_steps=3).evaluation_interval(7) == 3
    assert TrainingSpec().checkpoint_interval(7) == 7
    assert TrainingSpec(checkpoint_every_steps=4).checkpoint_interval(7) == 4


def test_what_needs_a_validation_split() -> None:
    assert TrainingSpec().needs_validation() == {}
    spec = TrainingSpec(patience=2, keep_best=True, evaluate_every_steps=5)
    assert spec.needs_validation() == {
        "evaluate_every_steps": 5, "patience": 2, "keep_best": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"epochs": 1, "steps": 2}, r"got both epochs \(1\) and steps \(2\); wanted one of them"),
        (
            {"evaluate_every_epochs": 1, "evaluate_every_steps": 2},
            r"got both evaluate_every_epochs \(1\) and evaluate_every_steps \(2\)",
        ),
        (
            {"batch_size": 10, "accumulate": 4},
            r"batch_size: got 10, which cannot be cut in accumulate \(4\) equal parts",
        ),
        ({"batch_size": 0}, "batch_size: got 0; wanted auto or at least 1"),
        ({"workers": -1}, "workers: got -1; wanted auto or at least 0"),
        ({"epochs": 0}, "training.epochs: got 0"),
        ({"epochs": 1.5}, "training.epochs"),
        ({"ema_decay": 1.0}, "training.ema_decay"),
        ({"clip_norm": 0.0}, "training.clip_norm"),
        ({"batch_size": "big"}, "training.batch_size"),
        ({"epoch": 1}, 'did you mean "epochs"'),
        ({"track": ["tensorbord"]}, 'wanted "tensorboard" or "wandb"'),
    ],
)
def test_settings_that_make_no_sense(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(TrainingSpec, data, prefix="training")
