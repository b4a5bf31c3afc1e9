"""A recipe with its data: read, and with what a start settles of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from luthier.data.decoding import Progress
from luthier.data.prepare import prepare
from luthier.data.prepared import Prepared
from luthier.recipe import Recipe
from luthier.run.start import Start
from luthier.run.teacher import leaves_open, settled_by, teacher_of
from luthier.spec import Decision


@dataclass(frozen=True, kw_only=True)
class Read:
    """A recipe, and the data that it names."""

    recipe: Recipe
    """With what its start, or its teacher, settles."""
    prepared: Prepared
    decisions: tuple[Decision, ...]
    """What these settled."""


def read(
    recipe: Recipe,
    start: Start | None = None,
    *,
    lenient: bool = False,
    progress: Progress | None = None,
) -> Read:
    """Reads the data of a recipe.

    Args:
        recipe: As the user wrote it.
        start: What it starts from.
        lenient: Whether what cannot be used is left out, whatever the recipe says.
        progress: Told what is being done, and how far it is.

    Raises:
        InputError: If the data cannot be used, or the start does not suit the recipe.
    """
    decisions = () if start is None else start.decisions(recipe)
    if start is None and leaves_open(recipe) and (teacher := teacher_of(recipe)) is not None:
        decisions = settled_by(teacher, recipe)
    recipe = recipe.with_values({decision.place: decision.value for decision in decisions})
    data = recipe.data.model_copy(update={"on_error": "skip"}) if lenient else recipe.data
    purpose = recipe.task.purpose()
    if start is not None:
        purpose = replace(purpose, most_tokens=start.most_tokens)
    prepared = prepare(data, purpose=purpose, seed=recipe.training.seed, progress=progress)
    if start is not None:
        prepared = start.told(recipe, prepared)
    return Read(recipe=recipe, prepared=prepared, decisions=decisions)
