"""What the data of a run takes over from the start of it: what its weights belong to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from luthier.data.pairs.pair_inputs import TARGET_FILE, PairInputs
from luthier.data.pairs.pairs import PairsSpec
from luthier.data.sound.sound_inputs import SoundInputs
from luthier.data.sound.sounds import SoundsSpec
from luthier.errors import InputError, Problem, SpecError
from luthier.model.blocks import Block
from luthier.model.blocks.tokens import TokensSpec
from luthier.recipe import Recipe
from luthier.run.model_folder import FinishedModel
from luthier.signal import Signal
from luthier.spec import Decision, plain


def heard_with(inputs: SoundInputs) -> dict[str, Any]:
    """Settings of the data that a network for sounds has learned with."""
    form = inputs.form
    features = form.features.model_dump(mode="json")
    found = {"sample_rate": form.rate, "features": features, "normalize": form.normalize}
    return found if form.fill_seconds is None else {**found, "fill_seconds": form.fill_seconds}


def heard(path: Path, model: FinishedModel, recipe: Recipe) -> list[Decision]:
    """What is read of sounds, where the start reads some.

    Raises:
        SpecError: If the recipe settles the same in another way.
    """
    inputs = model.inputs
    if not isinstance(recipe.data, SoundsSpec) or not isinstance(inputs, SoundInputs):
        return []
    made = []
    for name, value in heard_with(inputs).items():
        own = getattr(inputs.form, {"sample_rate": "rate"}.get(name, name))
        given = getattr(recipe.data, name)
        if name in recipe.data.model_fields_set and given not in ("auto", own):
            message = f"is other than {path} has it, whose weights belong to {value}; "
            raise SpecError([Problem(place=f"data.{name}", message=message + "leave it out")])
        made.append(Decision(place=f"data.{name}", value=value, reason="as start has it"))
    return made


def paired(path: Path, files: Path, model: FinishedModel, recipe: Recipe) -> list[Decision]:
    """How pairs are read, where the start writes texts of texts.

    Args:
        path: Where the start is, for messages.
        files: The folder with its tokenizers.
        model: What it has learned.
        recipe: That starts there.

    Raises:
        InputError: If the recipe is for another task, or the start reads its texts in a way that
            data has not.
        SpecError: If the recipe settles the same in another way.
    """
    inputs, data = model.inputs, recipe.data
    if not isinstance(inputs, PairInputs):
        return []
    if not isinstance(data, PairsSpec):
        raise InputError(
            f"start: {path} writes a text of each text, with an encoder and a decoder, which the "
            f"task {recipe.task.kind} does not go on with; give task: {{kind: seq2seq}} and data "
            "of the kind pairs, or take a start with layers alone"
        )
    form, end = inputs.form, inputs.tokenizer.special("end")
    first = form.before == (inputs.tokenizer.special("first"),)
    if form.behind != (end,) or not (first or not form.before):
        raise InputError(
            f"start: {path} reads a text with {len(form.before)} tokens before it and "
            f"{len(form.behind)} behind it; wanted a first token or none before it, and the one "
            "that ends a text behind it"
        )
    settled: dict[str, Any] = {"first": first, "target_tokenizer": None}
    other = files / TARGET_FILE
    if other.exists():
        settled["target_tokenizer"] = {"kind": "file", "path": os.path.abspath(other)}
    reason, made = "as start has it", []
    for name, value in settled.items():
        given = plain(data).get(name)
        if given not in ("auto", None, value):
            message = f"got {given}, but {path} has {_shown(value)}; leave it out"
            raise SpecError([Problem(place=f"data.{name}", message=message)])
        if given != value:
            made.append(Decision(place=f"data.{name}", value=value, reason=reason))
    return made


def _shown(value: Any) -> str:
    match value:
        case None:
            return "one tokenizer for both sides"
        case bool():
            return "one before each source" if value else "nothing before a source"
    return "one of its own"


def with_positions(layers: Iterable[Block], reads: Signal) -> tuple[Block, ...]:
    """Layers, with as many positions as they have learned.

    Args:
        layers: Of a network.
        reads: What it read.
    """
    return tuple(
        layer.model_copy(update={"positions": reads.shape[0]})
        if isinstance(layer, TokensSpec) and layer.position == "learned" and layer.positions is None
        else layer
        for layer in layers
    )


def learned_positions(layers: Iterable[Block]) -> int | None:
    """How many positions layers have learned; none where they have learned none."""
    found = [
        layer.positions
        for layer in layers
        if isinstance(layer, TokensSpec) and layer.position == "learned"
    ]
    return found[0] if found else None
