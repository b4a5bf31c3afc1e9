"""luthier's own loop on the rows of the language benchmarks, as its commands put it together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import language_protocol
import torch

from luthier.data.loader import StepBatches
from luthier.data.target import Target
from luthier.model.blueprint import Network, build
from luthier.model.initialize import materialize
from luthier.placement.allocator import keep_freed_memory
from luthier.placement.place import PlacementSpec, place
from luthier.placement.placed import Placed
from luthier.recipe import Recipe
from luthier.signal import Signal
from luthier.tasks.task import Task
from luthier.training.callbacks import Callbacks
from luthier.training.events import Event, Logged
from luthier.training.learner import Learner
from luthier.training.loop import fit
from luthier.training.schedule import schedule_for
from luthier.training.settings import TrainingSpec

OPTIMIZER = {"kind": "adamw", "learning_rate": 1e-3, "beta2": 0.99, "weight_decay": 0.1}
"""nanoGPT's for small networks, as the bare loop has it."""


@dataclass(frozen=True)
class Steps:
    """The batch of each step."""

    count: int
    read: Callable[[int], Any]
    """By step."""

    @property
    def steps_per_epoch(self) -> int:
        """All of them."""
        return self.count

    def batches(self, start_step: int, stop_step: int) -> Iterator[StepBatches[Any]]:
        """Those of some steps."""
        for step in range(start_step, stop_step):
            yield StepBatches(step=step, epoch=0, micro=(self.read(step),))


@dataclass(frozen=True)
class Ours:
    """A network of a recipe, where it runs, and its task."""

    recipe: Recipe
    placed: Placed
    task: Task[Any]

    @property
    def network(self) -> Network:
        """The network."""
        assert isinstance(self.placed.network, Network)
        return self.placed.network

    @property
    def parameters(self) -> int:
        """Of the network; a tied weight is counted once."""
        return sum(weight.numel() for weight in self.network.parameters())


def made(
    order: language_protocol.Order,
    plain: Mapping[str, Any],
    reads: Signal,
    target: Target,
) -> Ours:
    """The network of a recipe with its first weights, placed as ordered.

    Args:
        order: What is asked.
        plain: The recipe's `task`, `model`, `optimizer` and `schedule`.
        reads: What the network reads.
        target: What the task is about.
    """
    keep_freed_memory()
    # The rows come from the benchmark's files, in the order of all peers; no data is prepared.
    placement = {
        "precision": order.precision,
        "compile": order.compile,
        "device": "cpu",
        "layout": "channels_last",
        "threads": torch.get_num_threads(),
    }
    training = {"steps": order.steps, "batch_size": 1, "seed": order.seed}
    recipe = Recipe.of(
        {
            "name": "benchmark",
            "data": {"kind": "text", "path": "unread.txt"},
            "training": training,
            "placement": placement,
            **plain,
        }
    )
    assert recipe.model is not None
    layers = recipe.model.design(recipe.aim)
    network = build(layers, reads, lambda gives: recipe.task.head(gives, target))
    materialize(network, seed=order.seed, spec=layers.initialize)
    placed = place(network, PlacementSpec.model_validate(placement))
    return Ours(recipe, placed, recipe.task.build(target))


def train(
    ours: Ours,
    steps: Callable[[int], Any],
    training: language_protocol.Training,
    clip_norm: float | None = 1.0,
    learner: Learner | None = None,
) -> None:
    """Trains for the order's steps.

    Args:
        ours: What is trained.
        steps: What `task.collate` reads, by step.
        training: Its clock.
        clip_norm: Of the gradient; None where the peers do not clip.
        learner: None for one of all weights.
    """
    order, recipe = training.order, ours.recipe

    def heard(event: Event) -> None:
        if isinstance(event, Logged):
            training.end()
            training.begin()

    settings = TrainingSpec.model_validate(
        {
            "steps": order.steps,
            "batch_size": 1,
            "seed": order.seed,
            "clip_norm": clip_norm,
            "log_every_steps": order.chunk_steps,
        }
    )
    loader = Steps(order.steps, lambda step: ours.task.collate(steps(step)))
    if learner is None:
        learner = Learner(placed=ours.placed, optimizer=recipe.optimizer.build(ours.network))
    schedule = schedule_for(recipe.schedule, order.steps)
    training.begin()
    fit(learner, ours.task, loader, schedule, settings, callbacks=Callbacks(hooks=(heard,)))


def evaluated(ours: Ours, loss: Callable[[], float]) -> Callable[[], float]:
    """`loss` while the network is in evaluation mode, in float32."""

    def measure() -> float:
        ours.network.eval()
        with torch.no_grad():
            found = loss()
        ours.network.train()
        return found

    return measure
