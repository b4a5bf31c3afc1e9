"""What comes after training: evaluate, predict, report."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from luthier.cli import terminal
from luthier.cli.forecasts import print_forecasts, print_forecasts_as_csv
from luthier.cli.predicted import print_errors, print_predictions
from luthier.errors import InputError

if TYPE_CHECKING:
    from luthier.evaluation.evaluate import Evaluation
    from luthier.run.finished import Run as FinishedRun

TOP = 3
"""Classes or tokens that are shown where nobody asks for another number."""
_NAME_OF_FILE = re.compile(r"\S+\.(?:txt|csv|tsv|json|jsonl|parquet|md)(?:\.gz)?")
"""What is rather a file that is not there than a text."""
Run = Annotated[
    Path,
    typer.Argument(
        help="A run directory, or the name of one in runs/; or a pretrained network: a Hugging "
        "Face folder, its name on the hub, a GGUF file."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def evaluate(
    run: Run,
    split: Annotated[
        str | None,
        typer.Option(help="train, validation or test; test, or validation where there is none."),
    ] = None,
    on: Annotated[
        Path | None,
        typer.Option(help="A recipe whose data to measure on, in place of the run's own."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure a run on a split, with confidence intervals.

    Example: luthier evaluate runs/digits
    Example: luthier evaluate SmolLM2-135M --on recipes/shakespeare_char.yaml
    """
    from luthier.run.finished import load

    finished = load(run)
    with terminal.progress(quiet=json) as progress:
        measured, evaluation = finished.evaluate(split, progress=progress, on=on)
    if json:
        metrics = {name: metric.to_json() for name, metric in evaluation.metrics.items()}
        found: dict[str, Any] = {"run": str(run), "split": measured, "metrics": metrics}
        if signatures := evaluation.details.get("signatures"):
            found["signatures"] = signatures
        terminal.print_json(found | {"notes": list(evaluation.notes)})
        return
    whose = "its" if on is None else f"{on}'s"
    _print_metrics(f"{finished.name}, on {whose} {measured} split", evaluation)
    print_errors(evaluation.details)
    for name, signature in evaluation.details.get("signatures", {}).items():
        terminal.say(f"{name}: {signature}")
    for note in evaluation.notes:
        terminal.warn(note)
    if on is None:
        if evaluation.details.get("errors") or evaluation.details.get("signatures"):
            terminal.say()
        terminal.say(f"Each example: {finished.directory.evaluation / measured}.parquet")


def export(
    run: Run,
    to: Annotated[str, typer.Option(help="The format: huggingface.")],
    out: Annotated[Path, typer.Option(help="The folder to write; must not be there yet.")],
    json: Json = False,
) -> None:
    """Write a run in another format; it is read again and compared before it counts.

    Example: luthier export runs/stories --to huggingface --out stories-hf
    """
    from luthier.run.exporting import export

    written = export(run, to, out)
    if json:
        terminal.print_json(written.to_json())
        return
    terminal.say(
        f"Written to {written.path}: a {written.family}, which transformers reads as "
        f"{written.architecture}."
    )
    terminal.say(f"Read again, {written.agreement.sentence()}.")


def predict(
    run: Run,
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Pictures or sounds, or folders of them. Or texts, or files with one text a "
            "line; - reads standard input. Or questions, each with a tab and its context. Or "
            "tables of series, to be forecast behind their last rows.",
            metavar="INPUT...",
        ),
    ],
    top: Annotated[
        int | None,
        typer.Option(min=1, help="How many classes or tokens to show for each; 3 by default."),
    ] = None,
    beams: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Texts that are written side by side for each input."),
    ] = None,
    json: Json = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print a forecast as CSV, a row for each time.")
    ] = False,
) -> None:
    """Say what is in pictures, sounds or texts, what they are, what they may go on with, or write
    what belongs to them: their translation, their summary. Forecast series.

    Example: luthier predict runs/sst2_cnn "a fine film" --json
    Example: luthier predict runs/etth1_dlinear recent.csv --csv
    """
    from luthier.run.finished import load

    if json and csv:
        raise InputError("got both --json and --csv; give one of them")
    finished = load(run)
    if csv and finished.task_name != "forecast":
        raise InputError(f"--csv: is for forecasts, and {run} does not forecast; use --json")
    if top is not None and finished.task_name == "forecast":
        raise InputError(f"--top: is for what has several answers, and {run} forecasts; leave it")
    found = finished.predict(_given(finished, inputs), top=top or TOP, beams=beams)
    if json:
        terminal.print_json(found)
    elif csv:
        print_forecasts_as_csv(found)
    elif finished.task_name == "forecast":
        print_forecasts(found)
    else:
        print_predictions(found, finished.noun)


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run directories, or names of runs in runs/.",
            metavar="RUN...",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The page; RUN/report.html, or comparison.html for several runs."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a page about a run; of several runs, one that compares them with a paired test.

    Example: luthier report runs/digits runs/digits2
    """
    from luthier.run.report import write_report

    page = write_report(runs, out)
    if json:
        terminal.print_json({"report": str(page)})
        return
    terminal.say(f"The report: {page}")


def _given(finished: FinishedRun, inputs: list[str]) -> list[Path] | list[str | Path]:
    """What was typed: where texts are read, a text unless there is a file of that name."""
    from luthier.data.image import SUFFIXES as PICTURES
    from luthier.data.sound.decoder import SUFFIXES as SOUNDS

    reads = "tables of series" if finished.task_name == "forecast" else None
    reads = "texts" if finished.reads_texts else reads
    for name in inputs if reads else ():
        if Path(name).suffix.lower() in (*PICTURES, *SOUNDS) and os.path.isfile(name):
            raise InputError(f"{name}: is a picture or a sound, and the network reads {reads}")
    if not finished.reads_texts:
        return [Path(name) for name in inputs]
    for text in inputs:
        if _NAME_OF_FILE.fullmatch(text) and not os.path.exists(text):
            terminal.warn(f"{text}: no such file, so that it is read as a text")
    return [Path(text) if os.path.isfile(text) else text for text in inputs]


def _print_metrics(title: str, evaluation: Evaluation) -> None:
    rows: list[Any] = [
        (name, f"{metric.value:.4f}", metric.interval_text(), f"{metric.n:,}")
        for name, metric in evaluation.metrics.items()
    ]
    heads = ("metric", "value", "95 % interval", "examples")
    terminal.print_table(title, heads, rows, right=(1, 2, 3))
