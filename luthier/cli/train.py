"""luthier train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from luthier.cli import terminal


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Values to change: training.epochs=3")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run directory; runs/NAME if left out.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest valid checkpoint.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the run that is there, and start anew.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Train a network from a recipe.

    Example: luthier train recipes/digits.yaml training.epochs=3
    """
    from luthier.cli.watching import AtTheTerminal
    from luthier.recipe import Recipe
    from luthier.run.pipeline import train as train_recipe

    run = train_recipe(
        Recipe.read(recipe, overrides or ()),
        out=out,
        resume=resume,
        overwrite=overwrite,
        watching=AtTheTerminal(quiet=json),
    )
    if json:
        terminal.print_json(run.summary())
        return
    terminal.say(f"Done: {run.sentence()}")
    terminal.say(f"The report: {run.directory.report}")
