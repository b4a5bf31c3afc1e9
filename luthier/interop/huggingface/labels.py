"""The classes or tags of a config."""

from __future__ import annotations

from luthier.errors import InputError
from luthier.interop.huggingface.config import Config


def names_of_labels(config: Config) -> tuple[str, ...]:
    """The names of classes or tags, by number.

    Raises:
        InputError: If their numbers are no count from 0, or it learns no classes.
    """
    config.must_be("problem_type", ("single_label_classification",), "another kind of classifier")
    given = config.inner("id2label")
    if given is None:
        return tuple(f"LABEL_{number}" for number in range(config.whole("num_labels", 2)))
    names = [given.values.get(str(number)) for number in range(len(given.values))]
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{given.source}: wanted a name for each number from 0 on")
    if len(names) == 1:
        raise InputError(
            f"{given.source}: has one name, of a network that gives a number for each text; "
            "luthier reads classifiers, of two classes or more"
        )
    return tuple(map(str, names))
