"""A run whose network learns from a teacher, too."""

from __future__ import annotations

from dataclasses import replace

from luthier.data.target import Documents, names_of
from luthier.data.text.labelled.inputs import TextInputs
from luthier.errors import Problem, SpecError
from luthier.placement.place import place
from luthier.run.session import Session
from luthier.run.source import Source
from luthier.run.teacher import misfit, teacher_of
from luthier.tasks.classify import Classify
from luthier.tasks.distill import Distilled
from luthier.tasks.language import Language


def with_teacher(session: Session) -> Session:
    """The session, with the teacher that its recipe names, where the network runs.

    Raises:
        InputError: If there is no such run.
        SpecError: If it teaches something else.
    """
    spec, task = session.recipe.distill, session.task
    if spec is None:
        return session
    if not isinstance(task, Classify | Language):
        raise _unfit(f"the task {session.recipe.task.kind} has no teacher; leave it out", "distill")
    if isinstance(task, Classify) and task.spec.class_weights != "none":
        raise _unfit(
            "got a teacher and task.class_weights, but what a teacher says has no class; leave "
            "one of them out",
            "distill",
        )
    source = teacher_of(session.recipe)
    assert source is not None, "a recipe with distill has a teacher"
    _must_fit(session, source)
    # It learns nothing, so it keeps nothing.
    placement = session.recipe.placement.model_copy(update={"recompute": "none"})
    placed = place(source.model.network, placement)
    return replace(session, task=Distilled(spec, task, placed.network))


def _must_fit(session: Session, source: Source) -> None:
    """Refuses a teacher of other classes, of other tokens, or of inputs made in another way."""
    model, prepared, recipe = source.model, session.prepared, session.recipe
    told = f"got {recipe.distill.teacher if recipe.distill else ''}"
    if model.task is None or model.task.kind != recipe.task.kind:
        kind = "nothing of its own" if model.task is None else model.task.kind
        raise _unfit(f"{told}, which learned {kind}; wanted a teacher of {recipe.task.kind}")
    ours, theirs = prepared.inputs, model.inputs
    if isinstance(ours, TextInputs) and isinstance(theirs, TextInputs):
        if why := misfit(source, ours, prepared.signal.shape[0]):
            raise _unfit(f"{told}, {why}")
    elif ours.files() != theirs.files():
        raise _unfit(f"{told}, whose inputs are made otherwise (preprocessing.json)")
    if isinstance(prepared.target, Documents):
        objectives = (getattr(task, "objective", None) for task in (recipe.task, model.task))
        if len(set(objectives)) > 1:
            raise _unfit(f"{told}, which has another objective than task.objective")
    elif model.target is None or names_of(model.target) != names_of(prepared.target):
        raise _unfit(f"{told}, whose classes are others, or stand in another order")


def _unfit(message: str, at: str = "distill.teacher") -> SpecError:
    return SpecError([Problem(place=at, message=message)])
