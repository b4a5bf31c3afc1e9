"""From a recipe to a finished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from luthier.checkpoint.files import DISK, remove_tree, write_file
from luthier.checkpoint.lock import RunLock
from luthier.checkpoint.probe import probe
from luthier.checkpoint.store import Store
from luthier.data.target import names_of
from luthier.errors import InputError, Interrupted
from luthier.evaluation.evaluate import Evaluation, evaluate
from luthier.placement.allocator import keep_freed_memory
from luthier.placement.machine import machine
from luthier.recipe import Recipe
from luthier.resolve import resolve
from luthier.run.assembly import assemble
from luthier.run.directory import RUNS, RunDirectory, annotated
from luthier.run.finish import finish
from luthier.run.finished import Run, load
from luthier.run.reading import read
from luthier.run.reference import refer
from luthier.run.resuming import must_be_same
from luthier.run.rows import must_be_same_data, splits_of, where_it_was
from luthier.run.session import Session, open_session
from luthier.run.start import start_of
from luthier.run.teaching import with_teacher
from luthier.run.watching import Silent, Watching
from luthier.tasks.task import MeasuresInTwoWays
from luthier.training.callbacks import Callbacks
from luthier.training.events import Hook
from luthier.training.loop import Fitted, fit
from luthier.training.metrics_file import metrics_file
from luthier.training.signals import StopFlag, stop_on_signals
from luthier.training.state import LoopState
from luthier.training.tracking import tracked


def train(
    recipe: Recipe | Mapping[str, Any] | Path | str,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    network: nn.Module | None = None,
    watching: Watching | None = None,
    hooks: Sequence[Hook] = (),
) -> Run:
    """Trains a network, evaluates it on the test split, and writes its report.

    Args:
        recipe: A recipe, its plain data, or its file.
        out: The run directory; none means `runs/NAME`.
        resume: Goes on from the newest valid checkpoint; begins where there is none yet.
        overwrite: Removes a run that is there already.
        network: A module of one's own, instead of the recipe's model. It is trained in place,
            and reads `(B, *shape)` as the data gives it.
        watching: How the person at the terminal is told; none tells nothing.
        hooks: Are told each event of the training.

    Raises:
        InputError: If the recipe or the data cannot be used; nothing is written then.
        StorageError: If the disk refuses; the last checkpoint is whole.
        DivergedError: If losses or gradients stay non-finite; the last checkpoint is good.
        Interrupted: If a signal asked to stop; the state is saved.

    Example:
        run = luthier.train("recipes/digits.yaml")
        run.predict(["three.png"])
    """
    recipe = _recipe(recipe)
    watching = watching or Silent()
    directory = RunDirectory(Path(out) if out is not None else RUNS / recipe.name)
    _must_be_free(directory, resume, overwrite)
    keep_freed_memory()
    resuming = resume and directory.begun
    earlier = directory.read_decisions() if resuming else ()
    if resuming:
        must_be_same(recipe, directory)
    placed = where_it_was(recipe, earlier)
    start = start_of(placed)
    with watching.reading() as progress:
        given = read(placed, start, progress=progress)
    resolved = resolve(given.recipe, given.prepared, earlier, given.decisions)
    assembly = assemble(resolved.recipe, given.prepared, network)
    session = open_session(directory, resolved, given.prepared, assembly, start)
    session = with_teacher(session)
    del start  # it has weights of its own
    with RunLock(directory.path):
        if overwrite:
            _clear(directory)
        with watching.reading() as progress:
            refer(
                session.task,
                session.learner.placed,
                session.prepared,
                directory.reference,
                progress,
            )
        begun = _going_on(session, watching) if resuming else None
        if begun is not None and directory.finished_step == begun.step == session.total_steps:
            watching.say(f"{directory.path} is complete already: {begun.step:,} steps.")
        else:
            _begin(session, recipe)
            if session.adapting is not None:
                watching.say(f"{session.adapting.moves.sentence()}.")
            with stop_on_signals() as stop:
                fitted = _fit(session, begun, watching, hooks, stop)
                finish(session, fitted)
    return load(directory.path, network)


def _recipe(given: Recipe | Mapping[str, Any] | Path | str) -> Recipe:
    if isinstance(given, Recipe):
        return given
    return Recipe.of(given) if isinstance(given, Mapping) else Recipe.read(given)


def _must_be_free(directory: RunDirectory, resume: bool, overwrite: bool) -> None:
    path = directory.path
    if resume and overwrite:
        raise InputError("got both --resume and --overwrite; give one of them")
    for part in (path, *path.parents):
        if part.is_file():
            raise InputError(f"{part}: is a file; wanted a run directory, choose another --out")
    if directory.begun and not (resume or overwrite):
        raise InputError(
            f"{path}: holds a run already; go on with it with --resume, remove it with "
            "--overwrite, or choose another --out"
        )
    known = {".lock", *(entry.name for entry in directory.entries)}
    if path.is_dir() and not directory.begun and {e.name for e in path.iterdir()} - known:
        raise InputError(f"{path}: holds files that are no run; choose another --out")


def _clear(directory: RunDirectory) -> None:
    for entry in directory.entries:
        if entry.exists():
            remove_tree(entry)


def _begin(session: Session, recipe: Recipe) -> None:
    """Writes down what the run is, before the first step."""
    directory, resolved, prepared = session.directory, session.resolved, session.prepared
    write_file(directory.recipe, recipe.to_yaml().encode())
    facts = {
        "decisions": [vars(decision) for decision in resolved.decisions],
        "machine": machine(),
        "data": {
            "recognised": prepared.recognised,
            "fingerprint": prepared.fingerprint,
            "splits": {name: len(rows) for name, rows in splits_of(prepared).items()},
            "classes": list(names_of(prepared.target)),
            "skipped": [list(item) for item in prepared.skipped],
        },
    }
    if session.adapting is not None:
        facts["adapter"] = session.adapting.to_json()
    # New facts, not more: a run that goes on is no longer finished, whatever model it has.
    directory.write_facts(facts, DISK)
    # Last, for it is what makes the directory a run.
    text = annotated(resolved.recipe, resolved.decisions)
    write_file(directory.resolved, text.encode())


def _fit(
    session: Session,
    start: LoopState | None,
    watching: Watching,
    hooks: Sequence[Hook],
    stop: StopFlag,
) -> Fitted:
    """Trains, and returns how it ended."""
    settings, store, learner = session.recipe.training, session.store, session.learner
    probe(store.directory, session.checkpoint_bytes(), keep=settings.keep_checkpoints + 1)

    def save(state: LoopState) -> None:
        if settings.keep_best:
            store.pin(state.best_step)
        store.save(state.step, learner.tensors(), state.to_json())

    validation, task = session.prepared.validation, session.task
    if isinstance(task, MeasuresInTwoWays):
        task = task.while_training()

    def measure() -> Evaluation:
        assert validation is not None
        found = evaluate(learner.placed, task, validation)
        return replace(found, samples=session.samples())

    first = 0 if start is None else start.step
    try:
        with (
            metrics_file(session.directory.metrics, first) as log,
            tracked(settings.track, session.recipe.name, session.directory.path, first) as trackers,
            watching.training(session.prepared.noun) as told,
        ):
            fitted = fit(
                learner,
                task,
                session.loader,
                session.schedule,
                settings,
                start=start,
                callbacks=Callbacks(
                    evaluate=measure if validation is not None else None,
                    save=save,
                    hooks=(log, *trackers, *told, *hooks),
                    stop=stop,
                ),
            )
    finally:
        _warn(store, watching)
    if fitted.reason == "signal":
        raise Interrupted(
            f"stopped by {stop.requested} after step {fitted.state.step:,} of "
            f"{session.total_steps:,}; all is saved; go on with: "
            f"{session.directory.resume_command}"
        )
    return fitted


def _going_on(session: Session, watching: Watching) -> LoopState | None:
    """The state of the newest valid checkpoint, its tensors loaded."""
    store = session.store
    must_be_same_data(session.directory, session.prepared)
    if session.adapting is not None:
        session.adapting.must_be_same(session.directory)
    found = store.newest()
    _warn(store, watching)
    if found is None:
        watching.say("There is no checkpoint yet: beginning at the first step.")
        return None
    if found.step > session.total_steps:
        raise InputError(
            f"got a run of {session.total_steps:,} steps, but {session.directory.path} has done "
            f"{found.step:,}; give it as many or more, or begin another run with another --out"
        )
    session.learner.load({key: found.tensors(key) for key in found.keys})
    state = LoopState.from_json(found.state)
    if session.recipe.training.keep_best:
        store.pin(state.best_step)
    watching.say(f"Going on from {found.path}.")
    return state


def _warn(store: Store, watching: Watching) -> None:
    for warning in store.warnings:
        watching.warn(warning)
    store.warnings.clear()
