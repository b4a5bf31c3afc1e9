"""The data of a run, which must be what it was."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from luthier.data.decoding import Progress
from luthier.data.examples import Examples
from luthier.data.prepared import Prepared
from luthier.errors import InputError
from luthier.recipe import Recipe
from luthier.run.directory import RunDirectory
from luthier.run.reading import read
from luthier.run.reference import recall
from luthier.spec import Decision, plain

SPLITS = ("test", "validation", "train")
"""In the order in which a split is chosen to measure on."""


def data_of(directory: RunDirectory, progress: Progress | None = None) -> Prepared:
    """The data that a run was trained on.

    Raises:
        DataError: If it is gone or damaged.
        InputError: If it is no longer what it was.
    """
    # Resolved, it holds all that a start settled: none is read.
    prepared = read(_with_its_tokenizer(directory), progress=progress).prepared
    must_be_same_data(directory, prepared)
    recall(directory.reference, prepared)
    return prepared


def _with_its_tokenizer(directory: RunDirectory) -> Recipe:
    """The recipe of a run; the tokenizer that its start or its teacher had is in the finished model
    too, if they are gone."""
    recipe, own = directory.read_resolved(), directory.model / "tokenizer.json"
    given = plain(recipe.data).get("tokenizer")
    path = given.get("path") if isinstance(given, dict) else None
    if path is None or Path(path).exists() or not own.exists():
        return recipe
    return recipe.with_values({"data.tokenizer.path": str(own)})


def where_it_was(recipe: Recipe, earlier: Iterable[Decision]) -> Recipe:
    """The recipe with its data and its start where they were found when the run began, whatever
    the folder now, and on the day that templates were told then."""
    found_then = ("data.path", "data.files", "data.date", "start", "distill.teacher")
    paths = {found.place: found.value for found in earlier if found.place in found_then}
    return recipe.with_values(paths)


def must_be_same_data(directory: RunDirectory, prepared: Prepared) -> None:
    """Refuses data that is not what the run began with.

    Raises:
        InputError: If an input, a label or a split differs.
    """
    if prepared.fingerprint != directory.read_facts()["data"]["fingerprint"]:
        raise InputError(
            f"the data is not what it was when {directory.path} began: {prepared.noun.many}, "
            "labels or splits differ; bring it back, or train another run"
        )


def splits_of(prepared: Prepared) -> dict[str, Examples[Any]]:
    """The splits that there are, train first, to be measured on: with no augmentation."""
    named = {
        "train": prepared.train.plain(),
        "validation": prepared.validation,
        "test": prepared.test,
    }
    return {name: examples for name, examples in named.items() if examples is not None}


def choose_split(prepared: Prepared, name: str | None = None) -> tuple[str, Examples[Any]]:
    """A split by name; none takes the first of test, validation and train that is there.

    Raises:
        InputError: If the data has no such split.
    """
    there = splits_of(prepared)
    chosen = name or next(split for split in SPLITS if split in there)
    if chosen not in there:
        raise InputError(f'got the split "{chosen}"; the data has {", ".join(there)}')
    return chosen, there[chosen]
