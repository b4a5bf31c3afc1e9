"""The benchmark's recipe, and the hook that measures luthier's epochs."""

from __future__ import annotations

from pathlib import Path

import luthier_train
import protocol
import pytest

import luthier
from luthier.metrics.interval import Metric
from luthier.training.events import Evaluated, Logged

ROWS, STEPS, LOG = 60_000, 469, 67


def logged(step: int, rows_per_second: float) -> Logged:
    return Logged(
        step=step,
        epoch=step / STEPS,
        loss=0.1,
        loss_parts={},
        learning_rate=1e-3,
        gradient_norm=1.0,
        rows_per_second=rows_per_second,
        waiting_share=0.0,
        skipped=0,
        seconds=0.0,
    )


def evaluated(step: int, accuracy: float) -> Evaluated:
    metric = Metric(value=accuracy, low=0.0, high=1.0, n=10)
    return Evaluated(
        step=step,
        epoch=step / STEPS,
        headline="accuracy",
        metrics={"accuracy": metric},
        loss=metric,
        best=True,
    )


def test_the_recipe_is_one_of_luthier() -> None:
    order = protocol.Order(epochs=3, seed=1, precision="bf16", data=Path())
    recipe = luthier.Recipe.of(luthier_train.recipe(order, Path("mnist.npz"), ROWS))
    assert recipe.training.log_every_steps == LOG
    assert recipe.training.checkpoint_every_steps == 3 * STEPS
    assert recipe.placement.precision == "bf16"


def test_rates_of_parts_add_up_to_the_seconds_of_epochs() -> None:
    listener = luthier_train.Listener(ROWS)
    for part in range(1, 15):
        step = part * LOG
        rows = LOG * 128 - (32 if step % STEPS == 0 else 0)
        seconds = 2.0 if step <= STEPS else 1.0
        listener(logged(step, rows / seconds))
        if step % STEPS == 0:
            listener(evaluated(step, 0.97 + part / 1000))
    assert listener.training.epoch_seconds == pytest.approx([14.0, 7.0])
    assert listener.training.accuracies == pytest.approx([0.977, 0.984])
