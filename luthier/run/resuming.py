"""What may change when a run goes on."""

from __future__ import annotations

from typing import Any

from luthier.errors import Problem, SpecError
from luthier.recipe import Recipe
from luthier.run.directory import RunDirectory

FREE = {
    "name",
    "training.epochs",
    "training.steps",
    "training.max_minutes",
    "training.patience",
    "training.checkpoint_every_steps",
    "training.keep_checkpoints",
    "training.log_every_steps",
    "training.workers",
    "training.max_skipped_in_a_row",
    "training.track",
}
"""How long it goes on and what it keeps: nothing that a step depends on, but for a schedule that
is stretched to another length."""


def must_be_same(recipe: Recipe, directory: RunDirectory) -> None:
    """Refuses to go on with a run by another recipe.

    Raises:
        SpecError: With each setting that differs from the one that the run began with.
    """
    before, now = (
        _flat(given.model_dump(mode="json")) for given in (directory.read_recipe(), recipe)
    )
    problems = []
    for place in sorted(before.keys() | now.keys()):
        if place in FREE or before.get(place) == now.get(place):
            continue
        was = f"{before[place]}" if place in before else "not set"
        message = (
            f"got {now.get(place, 'nothing')}, but the run began with {was}; a resumed run keeps "
            "its recipe (but for its length): begin another run with another --out"
        )
        problems.append(Problem(place=place, message=message))
    if problems:
        raise SpecError(problems, str(directory.path))


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        inner = [_flat(item, f"{place}.{key}" if place else key) for key, item in value.items()]
    elif isinstance(value, list):
        inner = [_flat(item, f"{place}[{index}]") for index, item in enumerate(value)]
    else:
        return {place: value}
    return {key: item for part in inner for key, item in part.items()}
