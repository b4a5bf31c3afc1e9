"""The network of a recipe, to be looked at."""

from __future__ import annotations

from luthier.model.blueprint import Network
from luthier.recipe import Recipe
from luthier.run.assembly import assemble
from luthier.run.reading import read
from luthier.run.start import start_of


def design_network(recipe: Recipe) -> Network:
    """The network on the meta device. Reads the data for the shape of a sample and the classes.

    Raises:
        DataError: If the data cannot be read.
        ShapeError: If a block cannot read what comes before it.
    """
    given = read(recipe, start_of(recipe))
    return assemble(given.recipe, given.prepared).network
