"""Every `auto` of a recipe made a value, each with its reason."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.augment.geometry import CropSpec
from luthier.data.images import ImagesSpec
from luthier.data.prepared import Prepared
from luthier.data.sound.sounds import SoundsSpec
from luthier.errors import Problem, SpecError
from luthier.placement.place import decide as decide_placement
from luthier.recipe import Recipe
from luthier.spec import Decision, plain
from luthier.training.settings import TrainingSpec
from luthier.wording import shown

USUAL_BATCH = 128
USUAL_BATCH_TOKENS = 8192
LEAST_STEPS_AN_EPOCH = 20
_TOLD = "as much as the task forecasts"
LEAST_BATCH = 8
"""Of fewer rows, a batch norm learns little, and of a single one nothing."""


@dataclass(frozen=True)
class Resolved:
    """A recipe with no `auto` left."""

    recipe: Recipe
    decisions: tuple[Decision, ...]

    def with_decision(self, decision: Decision) -> Resolved:
        """The same with one more `auto` made a value."""
        recipe = self.recipe.with_values({decision.place: decision.value})
        return Resolved(recipe, (*self.decisions, decision))


def resolve(
    recipe: Recipe,
    prepared: Prepared,
    earlier: Iterable[Decision] = (),
    before: Iterable[Decision] = (),
) -> Resolved:
    """`recipe` with a value for each `auto`.

    Args:
        recipe: As the user wrote it.
        prepared: Its data, read.
        earlier: What was decided when the run began; a resumed run keeps it, whatever the
            machine.
        before: What was decided before the data was read.

    Raises:
        SpecError: If settings contradict each other now that the data is known.
    """
    kept = {decision.place: decision for decision in earlier}
    made = (
        *before,
        *_path(recipe),
        *_teacher(recipe),
        *prepared.decisions,
        *_model(recipe),
        *_training(recipe, prepared),
        *decide_placement(recipe.placement),
    )
    decisions = tuple(kept.get(decision.place, decision) for decision in made)
    values: dict[str, Any] = {decision.place: decision.value for decision in decisions}
    resolved = recipe.with_values(values)
    _check(resolved, prepared)
    return Resolved(resolved, decisions)


def _path(recipe: Recipe) -> list[Decision]:
    given = plain(recipe.data).get("path")
    if not isinstance(given, str) or Path(given).is_absolute():
        return []  # several paths are made absolute by who reads them
    value = os.path.abspath(Path(given).expanduser())
    return [Decision(place="data.path", value=value, reason=f"{given}, found from anywhere")]


def _teacher(recipe: Recipe) -> list[Decision]:
    if recipe.distill is None or not Path(recipe.distill.teacher).expanduser().exists():
        return []  # the name of a run, or of a network on the hub
    given = recipe.distill.teacher
    value = os.path.abspath(Path(given).expanduser())
    if value == given:
        return []
    reason = f"{given}, found from anywhere"
    return [Decision(place="distill.teacher", value=value, reason=reason)]


def _model(recipe: Recipe) -> tuple[Decision, ...]:
    model, network = recipe.model, recipe.network
    if model is None or network is None:
        return ()
    told = [name for name, value in network if getattr(model, name) != value]
    reach = [
        Decision(place=f"model.{name}", value=getattr(network, name), reason=_TOLD) for name in told
    ]
    return (*reach, *network.decide(recipe.aim))


def _training(recipe: Recipe, prepared: Prepared) -> list[Decision]:
    training = recipe.training
    rows = len(prepared.train)
    decisions = []
    if training.batch_tokens is not None and not prepared.by_length:
        decisions += _in_rows(training, prepared)
    elif training.batch_tokens is not None:
        pass  # rows of like lengths, as many as make them
    elif training.batch_size == "auto" and prepared.noun.unit == "tokens":
        size = max(1, USUAL_BATCH_TOKENS // prepared.noun.units)
        size = training.accumulate * max(1, size // training.accumulate)
        reason = f"rows of {prepared.noun.units} tokens, about {USUAL_BATCH_TOKENS:,} a step"
        decisions.append(Decision(place="training.batch_size", value=size, reason=reason))
    elif training.batch_size == "auto":
        wanted = 2 ** int(math.log2(max(1, rows / LEAST_STEPS_AN_EPOCH)))
        size = min(USUAL_BATCH, max(LEAST_BATCH, wanted))
        size = training.accumulate * max(1, size // training.accumulate)
        reason = (
            f"{USUAL_BATCH}, or fewer, down to {LEAST_BATCH}, so that {rows:,} rows make "
            f"{LEAST_STEPS_AN_EPOCH} steps"
        )
        decisions.append(Decision(place="training.batch_size", value=size, reason=reason))
    if training.workers == "auto":
        augmented = isinstance(recipe.data, ImagesSpec | SoundsSpec) and recipe.data.augment
        workers = 1 if augmented else 0
        reason = (
            "a thread augments while the network trains"
            if workers
            else "the rows lie in memory and are only gathered"
        )
        decisions.append(Decision(place="training.workers", value=workers, reason=reason))
    return decisions


def _in_rows(training: TrainingSpec, prepared: Prepared) -> list[Decision]:
    """The batch of so many tokens as rows."""
    tokens, context = training.batch_tokens, prepared.noun.units
    assert tokens is not None
    unit = context * training.accumulate
    if prepared.noun.unit != "tokens" or tokens % unit:
        message = (
            f"got {tokens:,}; wanted a multiple of {unit:,}: rows of {context:,} tokens"
            + (f" in {training.accumulate} parts" if training.accumulate > 1 else "")
            if prepared.noun.unit == "tokens"
            else f"got {tokens:,}, but a step of this task learns from whole {prepared.noun.many}; "
            "give batch_size"
        )
        raise SpecError([Problem(place="training.batch_tokens", message=message)])
    reason = f"{tokens:,} tokens in rows of {context:,}"
    return [
        Decision(place="training.batch_tokens", value=None, reason="see batch_size"),
        Decision(place="training.batch_size", value=tokens // context, reason=reason),
    ]


def _check(recipe: Recipe, prepared: Prepared) -> None:
    """What contradicts itself once the data is known: a setting that would not be used."""
    problems = []
    writes = plain(recipe.task).get("objective", "next_token") == "next_token"
    speaks = recipe.task.kind in ("language", "preference", "seq2seq")
    if recipe.task.kind == "seq2seq" and recipe.training.sample_tokens is not None:
        problems.append(
            Problem(
                place="training.sample_tokens",
                message="a sample is as long as the network makes it, up to data.target_context; "
                "leave it out",
            )
        )
    if recipe.training.samples and not (speaks and writes):
        message = f"got prompts, but {recipe.task.kind} does not write texts; leave them out"
        problems.append(Problem(place="training.samples", message=message))
    if prepared.validation is None:
        for name, used in recipe.training.needs_validation().items():
            problems.append(
                Problem(
                    place=f"training.{name}",
                    message=f"got {shown(used)}, but there is no validation split to measure on; "
                    "give data.split.validation a share, or leave this out",
                )
            )
    augment = recipe.data.augment if isinstance(recipe.data, ImagesSpec) else ()
    for index, change in enumerate(augment):
        shortest = min(prepared.signal.shape[1:])
        if isinstance(change, CropSpec) and change.mode == "reflect" and change.padding >= shortest:
            problems.append(
                Problem(
                    place=f"data.augment[{index}].padding",
                    message=f"got {change.padding}, but the pictures can be mirrored by at most "
                    f"{shortest - 1} pixels; give less, or mode: edge",
                )
            )
    if problems:
        raise SpecError(problems)
