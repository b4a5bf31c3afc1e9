"""What a teacher settles of the recipe of its student: how texts become what both read."""

from __future__ import annotations

import os

from luthier.data.chat.chat import ChatSpec
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.labelled.labelled import LabelledSpec
from luthier.recipe import Recipe
from luthier.run.source import Source, find_model
from luthier.run.start import TOKENIZER, Start, start_from
from luthier.spec import Decision, plain


def teacher_of(recipe: Recipe) -> Source | None:
    """The teacher that a recipe names; none where it has none.

    Raises:
        InputError: If there is no such run.
    """
    return None if recipe.distill is None else find_model(recipe.distill.teacher)


def leaves_open(recipe: Recipe) -> bool:
    """Whether a recipe has a teacher, and leaves to it how texts are read. One that was resolved
    does not: its run is used without its teacher."""
    return recipe.distill is not None and (
        _asks_for_tokenizer(recipe) or _asks_for_framing(recipe) or _asks_for_template(recipe)
    )


def _asks_for_tokenizer(recipe: Recipe) -> bool:
    has_one = "tokenizer" in type(recipe.data).model_fields
    return has_one and plain(recipe.data).get("tokenizer", "auto") == "auto"


def _asks_for_framing(recipe: Recipe) -> bool:
    return isinstance(recipe.data, LabelledSpec) and recipe.data.first == "auto"


def _asks_for_template(recipe: Recipe) -> bool:
    return isinstance(recipe.data, ChatSpec) and recipe.data.template == "auto"


def settled_by(teacher: Source, recipe: Recipe) -> tuple[Decision, ...]:
    """What a recipe leaves open that its teacher has: tokenizer, framing, chat template.

    Raises:
        InputError: If the teacher has no tokenizer in a file of its own.
    """
    inputs = teacher.model.inputs
    if recipe.start is not None or not isinstance(inputs, TextInputs):
        return ()  # a start settles all this, and what does not fit is told when both are there
    files, has = start_from(teacher).files, "the one that the teacher has"
    made = []
    if _asks_for_tokenizer(recipe):
        value: dict[str, object] = {
            "kind": "file",
            "path": os.path.abspath(files / TOKENIZER),
        }
        if inputs.tokenizer.own_size < (vocab := teacher.model.blueprint.reads.vocab):
            value["vocab"] = vocab
        made.append(Decision(place="data.tokenizer", value=value, reason=has))
    if _asks_for_framing(recipe):
        reason = f"the teacher reads texts {_framing(inputs.form.framed)}"
        made.append(Decision(place="data.first", value=inputs.form.framed, reason=reason))
    if _asks_for_template(recipe) and inputs.template is not None:
        made.append(Decision(place="data.template", value=os.path.abspath(files), reason=has))
    return tuple(made)


def misfit(teacher: Source, ours: TextInputs, longest: int) -> str:
    """Why a teacher cannot read the texts of its student; empty where it can.

    Args:
        teacher: It reads texts.
        ours: How the student's texts are made.
        longest: Of the student's texts, in tokens.
    """
    theirs = teacher.model.inputs
    assert isinstance(theirs, TextInputs)
    if ours.tokenizer.fingerprint != theirs.tokenizer.fingerprint:
        return "whose tokenizer is another one; leave data.tokenizer out to take its own"
    if ours.form.framed != theirs.form.framed:
        return (
            f"which reads texts {_framing(theirs.form.framed)}; set data.first: "
            f"{str(theirs.form.framed).lower()}"
        )
    most = Start(teacher).most_tokens
    if most is not None and longest > most:
        return f"which can read {most:,} tokens; set data.context: {most}"
    return ""


def _framing(framed: bool) -> str:
    return "between a first token and a separator" if framed else "without a first token"
