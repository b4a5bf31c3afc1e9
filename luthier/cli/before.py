"""What comes before training: new, design, check, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli import terminal
from luthier.errors import InputError

if TYPE_CHECKING:
    from luthier.planner.count import Counts

RecipeFile = Annotated[Path, typer.Argument(help="A recipe file.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Values to change: model.layers.0.channels=64")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def new(
    task: Annotated[str, typer.Argument(help="classify (or image-classification).")],
    data: Annotated[
        str, typer.Argument(help="digits, or a folder, table, archive or .npz file of pictures.")
    ],
    out: Annotated[Path | None, typer.Option(help="The file; NAME.yaml if left out.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Look at data, and write a commented recipe to start from.

    Example: luthier new classify photos/
    """
    from luthier.run.named_file import write_named
    from luthier.run.starter import starter_recipe

    text, name = starter_recipe(task, data)
    path = out or Path(f"{name}.yaml")
    if path.is_file() and not overwrite:
        raise InputError(f"{path}: is there already; choose another --out, or --overwrite")
    write_named(path, text)
    terminal.say(text)
    terminal.say(f"Written to {path}. Next: luthier check {path}, then luthier train {path}")


def design(
    recipe: RecipeFile,
    overrides: Overrides = None,
    draw: Annotated[Path | None, typer.Option(help="Where to draw the network: net.svg")] = None,
    as_json: Json = False,
) -> None:
    """Show a network layer by layer: shapes, parameters, FLOPs, memory.

    Example: luthier design recipes/digits.yaml --draw net.svg
    """
    from luthier.planner.count import count
    from luthier.planner.drawing import draw as draw_network
    from luthier.recipe import Recipe
    from luthier.run.design import design_network
    from luthier.run.named_file import write_named

    chosen = Recipe.read(recipe, overrides or ())
    if draw is not None and draw.suffix != ".svg":
        raise InputError(f"--draw {draw}: wanted a name that ends in .svg")
    network = design_network(chosen)
    counts = count(network)
    if draw is not None:
        write_named(draw, draw_network(network))
    if as_json:
        terminal.print_json(counts.to_json())
        return
    _print_counts(chosen.name, counts)
    if draw is not None:
        terminal.say(f"Drawn: {draw}")


def check(recipe: RecipeFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Read the data and say what is wrong with it, before anything is spent.

    Exits with 2 where something must be mended.

    Example: luthier check recipes/digits.yaml
    """
    from luthier.recipe import Recipe
    from luthier.run.check import check_recipe

    with terminal.progress(quiet=as_json) as progress:
        checked = check_recipe(Recipe.read(recipe, overrides or ()), progress=progress)
    if as_json:
        terminal.print_json(checked.to_json())
    else:
        terminal.say(checked.sentence())
        for finding in checked.findings:
            terminal.say(f"{finding.severity}: {finding.message}")
    if checked.errors:
        raise typer.Exit(2)


def schema(
    out: Annotated[Path | None, typer.Option(help="The file; printed if left out.")] = None,
) -> None:
    """Print the JSON schema of recipes, so that an editor completes and checks them.

    Example: luthier schema --out recipe.schema.json
    """
    from luthier.recipe import Recipe
    from luthier.run.named_file import write_named

    found = Recipe.model_json_schema()
    if out is None:
        terminal.print_json(found)
        return
    write_named(out, json.dumps(found, indent=2) + "\n")
    terminal.say(
        f"Written to {out}. For an editor with a YAML language server, begin a recipe with"
    )
    terminal.say(f"# yaml-language-server: $schema={out}")


def _print_counts(name: str, counts: Counts) -> None:
    rows = [
        (
            "  " * row.depth + row.place,
            row.name,
            str(row.gives),
            f"{row.parameters:,}",
            terminal.count_text(row.flops),
            terminal.bytes_text(row.activation_bytes),
        )
        for row in counts.rows
    ]
    total = counts.total
    rows.append(
        (
            "total",
            "",
            "",
            f"{total.parameters:,}",
            terminal.count_text(total.flops),
            terminal.bytes_text(total.activation_bytes),
        )
    )
    heads = ("place", "block", "gives", "parameters", "FLOPs", "activations")
    terminal.print_table(f"{name}: one sample, forward", heads, rows, right=(3, 4, 5))
    terminal.say(
        "A multiply-add is two FLOPs; activations are what a training step keeps of a sample."
    )
