"""The end of a run: the finished model, its scores, its report."""

from __future__ import annotations

from dataclasses import replace

from luthier.checkpoint.files import DISK, write_file
from luthier.checkpoint.manifest import DamagedError
from luthier.errors import InputError
from luthier.evaluation.evaluate import Evaluation, evaluate
from luthier.evaluation.storage import write_evaluation
from luthier.reports.run_report import run_report
from luthier.reports.summary import summary
from luthier.run.card import model_card
from luthier.run.caveats import caveats
from luthier.run.finished_adapter import adapter_alone, must_be_as_trained, write_adapter
from luthier.run.model_folder import write_model
from luthier.run.report import report_data
from luthier.run.rows import choose_split
from luthier.run.session import Session
from luthier.run.settling import settled
from luthier.training.loop import Fitted


def finish(session: Session, fitted: Fitted) -> None:
    """Writes the finished model, measures it, and writes the report.

    Args:
        session: Its learner has the weights of the last step.
        fitted: How the training ended.

    Raises:
        StorageError: If the disk refuses.
        DivergedError: If the finished network's losses are not finite.
        RunError: If the finished model is not the network that was trained.
    """
    step, notes = _take_the_best(session, fitted)
    with session.learner.finishing():
        session = settled(session)
        directory, prepared, recipe = session.directory, session.prepared, session.recipe
        split, examples = choose_split(prepared)
        evaluation = evaluate(session.learner.placed, session.task, examples)
        notes_on_it = caveats(evaluation, prepared, split)
        evaluation = replace(evaluation, samples=session.samples(), notes=notes_on_it)
    write_evaluation(evaluation, directory.evaluation, split)
    directory.add_facts(_facts(session, fitted, step, split, evaluation, notes), DISK)
    session.learner.make_whole()
    write_adapter(session)
    write_model(
        directory.model,
        weights=None if adapter_alone(session) else session.learner.finished(),
        blueprint=session.assembly.blueprint,
        task=recipe.task,
        target=prepared.target,
        inputs=prepared.inputs,
        card=model_card(recipe, prepared, evaluation, split),
        files=DISK,
    )
    must_be_as_trained(session)
    data = report_data(directory, prepared)
    write_file(directory.report, run_report(data).encode())
    # Last: a run whose end was cut off is not finished, and --resume ends it again.
    directory.add_facts({"sentence": summary(data), "finished_step": fitted.state.step}, DISK)


def _take_the_best(session: Session, fitted: Fitted) -> tuple[int, list[str]]:
    """Puts the weights of the best evaluation back, where the recipe wants it.

    Returns:
        The step whose weights the finished model has, and what a reader should know of it.
    """
    last, best = fitted.state.step, fitted.state.best_step
    if not session.recipe.training.keep_best or best is None or best == last:
        return last, []
    try:
        found = session.store.open(best)
        session.learner.load({key: found.tensors(key) for key in found.keys})
    except (DamagedError, InputError) as error:
        return last, [
            f"The weights are those of the last step, {last:,}: the checkpoint of the best one, "
            f"{best:,}, could not be read ({error})."
        ]
    return best, [f"The weights are those of step {best:,}, the best on the validation split."]


def _facts(
    session: Session,
    fitted: Fitted,
    step: int,
    split: str,
    evaluation: Evaluation,
    notes: list[str],
) -> dict[str, object]:
    state, noun = fitted.state, session.prepared.noun
    if split == "train":
        notes.append(f"Measured on the training {noun.many}, since the data has no others.")
    if state.skipped:
        notes.append(f"{state.skipped} steps were skipped: their loss or gradient was not finite.")
    if session.prepared.skipped:
        notes.append(f"{len(session.prepared.skipped)} files could not be used and were left out.")
    notes += evaluation.notes
    return {
        "evaluated": split,
        "epochs": state.rows / len(session.prepared.train),
        "outcome": {
            "steps": state.step,
            "weights_of_step": step,
            "stopped_by": fitted.reason,
            "seconds": state.seconds,
            "rows_per_second": state.rows_per_second,
            f"{noun.unit}_per_second": state.rows_per_second * noun.units_on_average,
            "waiting_share": state.waiting_share,
            "split": split,
            "metrics": {name: metric.to_json() for name, metric in evaluation.metrics.items()},
        },
        "notes": notes,
    }
