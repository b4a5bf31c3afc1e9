"""Data that a model was not trained on, read as the model reads its own."""

from __future__ import annotations

from typing import Any

from luthier.data.decoding import Progress
from luthier.data.prepared import Prepared
from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.sound.sound_inputs import SoundInputs
from luthier.data.sound.sounds import SoundsSpec
from luthier.data.target import names_of
from luthier.errors import InputError
from luthier.recipe import Recipe
from luthier.run.reading import read
from luthier.run.source import Source
from luthier.run.start import heard_with, start_from
from luthier.spec import plain

OF_THE_MODEL = ("tokenizer", "first", "matches", "template")
"""Settings of data that are the model's own, whatever another recipe says."""


def other_data(source: Source, recipe: Recipe, progress: Progress | None = None) -> Prepared:
    """The data of a recipe, for a model to be measured on.

    Args:
        source: The model.
        recipe: Its data counts, and its seed; what it learns and how does not.
        progress: Told what is being done, and how far it is.

    Raises:
        DataError: If the data is gone or damaged.
        InputError: If it is not what the model says anything of: another kind, other classes.
    """
    task, target = source.model.task, source.model.target
    if task is None or target is None:
        raise InputError(f"{source.path}: has layers, but no head that could be measured")
    start = start_from(source)
    asked: dict[str, Any] = {"task": plain(task), "start": None, "model": None, "adapter": None}
    fields = type(recipe.data).model_fields
    asked |= {f"data.{name}": "auto" for name in OF_THE_MODEL if name in fields}
    inputs = source.model.inputs
    if isinstance(recipe.data, SoundsSpec) and isinstance(inputs, SoundInputs):
        asked |= {f"data.{name}": value for name, value in heard_with(inputs).items()}
    prepared = read(recipe.with_values(asked), start, progress=progress).prepared
    if isinstance(prepared, PreparedSounds) and isinstance(inputs, SoundInputs):
        prepared = prepared.heard_by(inputs)
    wanted, got = names_of(target), names_of(prepared.target)
    if wanted != got:
        raise InputError(
            f"{source.path}: says one of {_few(wanted)}, but the data has {_few(got)}; wanted the "
            "same names in the same order"
        )
    return prepared


def _few(names: tuple[str, ...]) -> str:
    more = ", …" if len(names) > 4 else ""
    return (", ".join(names[:4]) or "nothing") + more
