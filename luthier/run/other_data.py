"""Data that a model was not trained on, read as the model reads its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from luthier.data.decoding import Progress
from luthier.data.pairs.pair_inputs import TARGET_FILE, PairInputs
from luthier.data.pairs.pairs import PairsSpec
from luthier.data.prepared import Prepared
from luthier.data.series.series_inputs import SeriesInputs
from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.sound.sound_inputs import SoundInputs
from luthier.data.sound.sounds import SoundsSpec
from luthier.data.target import Written, names_of
from luthier.data.text.tokens.tokenizer_file import FILE_NAME
from luthier.errors import InputError
from luthier.recipe import Recipe
from luthier.run.carried import heard_with
from luthier.run.reading import read
from luthier.run.source import Source
from luthier.run.start import form_of, start_from
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
    _alike(source, recipe)
    inputs = source.model.inputs
    asked: dict[str, Any] = {"task": plain(task), "start": None, "model": None, "adapter": None}
    fields = type(recipe.data).model_fields
    asked |= {f"data.{name}": "auto" for name in OF_THE_MODEL if name in fields}
    if isinstance(inputs, PairInputs):
        return _pairs(source, inputs, recipe.with_values(asked), progress)
    start = start_from(source)
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


def _pairs(
    source: Source, inputs: PairInputs, recipe: Recipe, progress: Progress | None
) -> Prepared:
    """Pairs as the tokens that the model reads and writes, as long as it knows them."""
    target, files = source.model.target, source.files
    assert isinstance(target, Written)
    assert files is not None, "a run has a folder"
    if not isinstance(recipe.data, PairsSpec):
        raise InputError(
            f"{source.path}: writes a text for each source, and data of the kind "
            f"{recipe.data.kind} has none; wanted a recipe with pairs"
        )
    one, other = ({"kind": "file", "path": str(files / name)} for name in (FILE_NAME, TARGET_FILE))
    told = {
        "tokenizer": one,
        "target_tokenizer": None if target.one_tokenizer else other,
        "context": inputs.form.context,
        "target_context": max(2, target.context - len(target.forced)),
        "cut": inputs.form.cut,
        "first": bool(inputs.form.before),
    }
    asked = {f"data.{name}": value for name, value in told.items()}
    return replace(read(recipe.with_values(asked), progress=progress).prepared, target=target)


def _alike(source: Source, recipe: Recipe) -> None:
    """Refuses data of another form; and series, whose scale belongs to the table of the run."""
    if isinstance(source.model.inputs, SeriesInputs):
        raise InputError(
            f"{source.path}: forecasts series, and is measured on those that it was trained on; "
            "forecast another table with luthier predict, or train a run on it"
        )
    reads = source.model.blueprint.reads
    if form_of(recipe.data) != reads.form:
        raise InputError(
            f"{source.path}: reads {reads}, which data of the kind {recipe.data.kind} is not; "
            "wanted a recipe with data like its own"
        )


def _few(names: tuple[str, ...]) -> str:
    more = ", …" if len(names) > 4 else ""
    return (", ".join(names[:4]) or "nothing") + more
