"""The report of a run, from what lies in its directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from luthier.data.chat.prepare_chat import PreparedChat
from luthier.data.chat.prepare_preferences import PreparedPreferences
from luthier.data.chat.shown import ShownConversation
from luthier.data.examples import Examples
from luthier.data.pictures import PictureExamples
from luthier.data.prepared import Prepared
from luthier.data.sound.sound_examples import SoundExamples
from luthier.data.text.labelled.inputs import TextInputs
from luthier.errors import InputError
from luthier.evaluation.storage import read_evaluation
from luthier.planner.count import count
from luthier.planner.drawing import draw
from luthier.reports.comparison_report import comparison_report
from luthier.reports.data import Curve, ReportData, Timing
from luthier.reports.mistakes import shown_ids
from luthier.reports.run_report import run_report
from luthier.run.directory import RunDirectory, find_run
from luthier.run.model_folder import read_network
from luthier.run.named_file import must_be_writable, write_named
from luthier.run.rows import choose_split, data_of
from luthier.run.shown_forecasts import shown_forecasts
from luthier.spec import plain

ALWAYS_SHOWN = ("margin",)
"""Metrics whose course is shown beside that of the headline."""


def write_report(runs: Sequence[Path | str], out: Path | None = None) -> Path:
    """Writes the page of a run, or one that compares several.

    Args:
        runs: Run directories, or names of runs in `runs/`.
        out: The page; none means `RUN/report.html`, or `comparison.html` for several.

    Returns:
        The page.

    Raises:
        InputError: If a run is not there or not finished, or runs cannot be compared.
    """
    found = [find_run(run) for run in runs]
    paths = [directory.path.resolve() for directory in found]
    for position, path in enumerate(paths):
        if path in paths[:position]:
            raise InputError(f"{found[position].path}: is given twice; wanted different runs")
    if out is not None:
        must_be_writable(out)
    for directory in found:
        directory.must_be_finished()
    data = [report_data(directory) for directory in found]
    if len(found) == 1:
        page, path = run_report(data[0]), out or found[0].report
    else:
        page, path = _compared(found, data), out or Path("comparison.html")
    write_named(path, page)
    return path


def _compared(found: Sequence[RunDirectory], data: Sequence[ReportData]) -> str:
    try:
        return comparison_report(data)
    except InputError as error:
        raise InputError(f"{', '.join(str(run.path) for run in found)}: {error}") from None


def report_data(directory: RunDirectory, prepared: Prepared | None = None) -> ReportData:
    """What the report of a run is made from.

    Args:
        directory: The run.
        prepared: Its data, where that was read already.
    """
    facts = directory.read_facts()
    outcome = facts["outcome"]
    recipe = directory.read_resolved()
    evaluated = facts["evaluated"]
    evaluation = read_evaluation(directory.evaluation, evaluated)
    if prepared is None:
        prepared = data_of(directory)
    _, examples = choose_split(prepared, evaluated)
    ids = shown_ids(evaluation.columns)
    network = read_network(directory.model)
    return ReportData(
        name=recipe.name,
        evaluation=evaluation,
        split=evaluated,
        classes=tuple(facts["data"]["classes"]),
        timing=Timing(
            seconds=outcome["seconds"],
            steps=outcome["steps"],
            epochs=facts["epochs"],
            examples_per_second=outcome["rows_per_second"],
            waiting_share=outcome["waiting_share"],
        ),
        device=str(recipe.placement.device),
        machine=facts["machine"],
        recipe=directory.recipe.read_text(encoding="utf-8"),
        resolved=plain(recipe),
        decisions=directory.read_decisions(),
        counts=None if network is None else count(network),
        drawing="" if network is None else draw(network),
        curves=_curves(directory.read_metrics()),
        splits=facts["data"]["splits"],
        example_noun=prepared.noun.one,
        pictures=_pictures(examples, ids),
        texts=_texts(prepared, examples, ids),
        adapter=facts.get("adapter"),
        conversations=_conversations(prepared),
        forecasts=shown_forecasts(prepared, examples, evaluation),
        commands=(f"luthier train {directory.resolved} --out runs/again",),
        notes=tuple(facts["notes"]),
    )


def _pictures(examples: Examples[Any], ids: np.ndarray) -> dict[int, np.ndarray]:
    """Some examples as pictures: as they are, or what a network reads of a sound."""
    match examples:
        case PictureExamples():
            return {int(row): examples.pictures(np.array([row]))[0] for row in ids}
        case SoundExamples():
            return {int(row): examples.picture(int(row)) for row in ids}
    return {}


def _texts(prepared: Prepared, examples: Examples[Any], ids: np.ndarray) -> dict[int, str]:
    """The texts of some examples, where they are texts."""
    if not isinstance(prepared.inputs, TextInputs) or not len(ids):
        return {}
    texts = examples.read(ids, epoch=0).texts
    decode = prepared.inputs.tokenizer.decode
    return {int(row): decode(text.tokens) for row, text in zip(ids, texts, strict=True)}


def _conversations(prepared: Prepared) -> tuple[ShownConversation, ...]:
    """Some of what was trained on, where that was conversations."""
    return prepared.shown if isinstance(prepared, PreparedChat | PreparedPreferences) else ()


def _curves(rows: Sequence[dict[str, Any]]) -> tuple[Curve, ...]:
    """Loss, metrics and learning rate over the steps."""
    train = [row for row in rows if row["event"] == "logged"]
    measured = [row for row in rows if row["event"] == "evaluated"]
    curves = [
        _curve("loss", "train", train, [row["loss"] for row in train]),
        _curve("loss", "validation", measured, [row["loss"]["value"] for row in measured]),
        _curve("learning_rate", "train", train, [row["learning_rate"] for row in train]),
    ]
    shown = {row["headline"] for row in measured} - {"loss"}
    shown |= {name for row in measured for name in ALWAYS_SHOWN if name in row["metrics"]}
    for name in sorted(shown):
        values = [row["metrics"][name]["value"] for row in measured]
        curves.append(_curve(name, "validation", measured, values))
    return tuple(curve for curve in curves if len(curve.steps))


def _curve(
    quantity: str, series: str, rows: Sequence[dict[str, Any]], values: Sequence[float | None]
) -> Curve:
    return Curve(
        quantity=quantity,
        series=series,
        steps=np.array([row["step"] for row in rows]),
        values=np.array([np.nan if value is None else value for value in values]),
    )
