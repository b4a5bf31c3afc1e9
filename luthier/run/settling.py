"""What is chosen when the training is over."""

from __future__ import annotations

from dataclasses import replace

from luthier.evaluation.evaluate import evaluate
from luthier.run.session import Session
from luthier.tasks.task import SettlesOnValidation


def settled(session: Session) -> Session:
    """The session with what its task leaves to the validation split.

    Args:
        session: Its learner has the weights to use. Where there is no such split, what the task
            begins with stays.
    """
    task, validation = session.task, session.prepared.validation
    if not isinstance(task, SettlesOnValidation) or task.is_settled or validation is None:
        return session
    measured = evaluate(session.learner.placed, task, validation)
    target = task.settled(measured.columns)
    prepared = replace(session.prepared, target=target)
    return replace(session, prepared=prepared, task=session.recipe.task.build(target))
