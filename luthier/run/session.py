"""One process's work on a run: all that training needs, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from luthier.checkpoint.store import Store
from luthier.data.loader import Loader
from luthier.data.prepare import Prepared
from luthier.placement.place import place
from luthier.recipe import Recipe
from luthier.resolve import Resolved
from luthier.run.assembly import Assembly, with_weights
from luthier.run.directory import RunDirectory
from luthier.tasks.task import Task
from luthier.training.average import Average
from luthier.training.learner import Learner


@dataclass(frozen=True, kw_only=True)
class Session:
    """All that training needs."""

    directory: RunDirectory
    resolved: Resolved
    prepared: Prepared
    assembly: Assembly
    task: Task[Any]
    learner: Learner
    loader: Loader[Any]
    store: Store

    @property
    def recipe(self) -> Recipe:
        """With no `auto` left."""
        return self.resolved.recipe

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.recipe.training.total_steps(self.loader.steps_per_epoch)

    def checkpoint_bytes(self) -> int:
        """The size of one checkpoint, about."""
        parts = self.learner.tensors().values()
        return sum(t.numel() * t.element_size() for named in parts for t in named.values())


def open_session(
    directory: RunDirectory, resolved: Resolved, prepared: Prepared, assembly: Assembly
) -> Session:
    """The network gets its first weights and its place, the loader its order."""
    recipe, settings = resolved.recipe, resolved.recipe.training
    assert isinstance(settings.batch_size, int)
    assert isinstance(settings.workers, int)
    network = with_weights(assembly, recipe)
    placed = place(network, recipe.placement)
    task = recipe.task.build(prepared.classes, prepared.class_counts)
    return Session(
        directory=directory,
        resolved=resolved,
        prepared=prepared,
        assembly=assembly,
        task=task,
        learner=Learner(
            placed=placed,
            optimizer=recipe.optimizer.build(placed.network),
            average=Average(network, settings.ema_decay) if settings.ema_decay else None,
        ),
        loader=Loader(
            prepared.train,
            task.collate,
            batch_rows=settings.batch_size,
            accumulate=settings.accumulate,
            seed=settings.seed,
            shuffle=True,
            workers=settings.workers,
        ),
        store=Store(directory.checkpoints, keep=settings.keep_checkpoints),
    )
