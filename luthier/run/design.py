"""The network of a recipe, to be looked at."""

from __future__ import annotations

from luthier.data.prepare import prepare
from luthier.model.blueprint import Network
from luthier.recipe import Recipe
from luthier.run.assembly import assemble


def design_network(recipe: Recipe) -> Network:
    """The network on the meta device. Reads the data for the shape of a sample and the classes.

    Raises:
        DataError: If the data cannot be read.
        ShapeError: If a block cannot read what comes before it.
    """
    return assemble(
        recipe, prepare(recipe.data, purpose=recipe.task.purpose(), seed=recipe.training.seed)
    ).network
