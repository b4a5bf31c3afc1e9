"""What comes before training: new, design, check, schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from luthier.cli import terminal
from luthier.errors import InputError

if TYPE_CHECKING:
    from luthier.data.chat.shown import ShownConversation
    from luthier.planner.count import Counts
    from luthier.run.design import Design

RecipeFile = Annotated[Path, typer.Argument(help="A recipe file.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Values to change: model.layers.0.channels=64")
]
SHOWN_FILES = 5
"""Of those that a finding names."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def new(
    task: Annotated[
        str,
        typer.Argument(
            help="classify, tag, classify_and_tag, extract, language, fill-mask, preference, "
            "reward or forecast; the Hub's names do too."
        ),
    ],
    data: Annotated[
        str,
        typer.Argument(
            help="digits, or a file or folder: pictures, labelled or tagged texts, any text, or a "
            "table of series."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="The file; NAME.yaml if left out.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Look at data, and write a commented recipe to start from.

    Example: luthier new classify photos/
    Example: luthier new text-generation stories.txt
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
    name: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|FAMILY|SIZE|FOLDER",
            help="A recipe file, a family such as llama, a published size such as gpt2-medium, or "
            "a Hugging Face folder.",
        ),
    ],
    overrides: Overrides = None,
    draw: Annotated[Path | None, typer.Option(help="Where to draw the network: net.svg")] = None,
    vocab: Annotated[
        int | None, typer.Option(min=2, help="Distinct tokens, for a family or a size.")
    ] = None,
    context: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a text, for a family or a size.")
    ] = None,
    as_json: Json = False,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print its layers only, to copy into a recipe.")
    ] = False,
) -> None:
    """Show a network layer by layer: shapes, parameters, FLOPs, memory.

    Of a family it also shows the layers that it stands for, to copy into a recipe and change.

    Example: luthier design llama depth=12 --draw net.svg
    """
    from luthier.planner.count import count
    from luthier.planner.drawing import draw as draw_network
    from luthier.planner.recomputed import recomputed
    from luthier.run.design import design
    from luthier.run.named_file import write_named

    if draw is not None and draw.suffix != ".svg":
        raise InputError(f"--draw {draw}: wanted a name that ends in .svg")
    if as_json and as_yaml:
        raise InputError("got both --json and --yaml; give one of them")
    chosen = design(name, overrides or (), vocab=vocab, context=context)
    if draw is not None:
        write_named(draw, draw_network(chosen.network))
    if as_yaml:
        terminal.say(chosen.to_yaml().rstrip())
        return
    counts = count(chosen.network)
    if as_json:
        again = recomputed(chosen.network, counts)
        told = {"recompute": None if again is None else again.to_json()}
        terminal.print_json({**chosen.to_json(), **counts.to_json(), **told})
        return
    _print_counts(chosen, counts)
    if chosen.family is not None:
        _print_family(chosen)
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
            for file in finding.files[:SHOWN_FILES]:
                terminal.say(f"    {file}")
            if len(finding.files) > SHOWN_FILES:
                terminal.say("    … (--json names more)")
        if checked.shown:
            _print_conversations(checked.shown)
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


def _print_conversations(shown: Sequence[ShownConversation]) -> None:
    """Each token of some conversations: what is learned in colour, and between brackets."""
    terminal.say()
    terminal.say("What is learned, in colour and between « and »; the rest is only read:")
    for one in shown:
        terminal.say(f"{one.name}:")
        stretches = [(stretch.tokens, stretch.learned) for stretch in one.stretches]
        terminal.print_tokens(stretches, more=one.more, before=one.before)


def _print_counts(design: Design, counts: Counts) -> None:
    from luthier.planner.folding import folded
    from luthier.planner.recomputed import recomputed

    some_stay = counts.total.trained != counts.total.parameters
    rows = [
        (
            "  " * row.depth + row.place,
            row.name,
            str(row.gives),
            f"{row.parameters:,}",
            *([f"{row.trained:,}"] if some_stay else []),
            terminal.count_text(row.flops),
            terminal.bytes_text(row.activation_bytes),
        )
        for row in folded(counts.rows)
    ]
    total = counts.total
    rows.append(
        (
            "total",
            "",
            "",
            f"{total.parameters:,}",
            *([f"{total.trained:,}"] if some_stay else []),
            terminal.count_text(total.flops),
            terminal.bytes_text(total.activation_bytes),
        )
    )
    trained = ("trained",) if some_stay else ()
    heads = ("place", "block", "gives", "parameters", *trained, "FLOPs", "activations")
    reads = design.network.reads
    sample = f"one sample, {reads}" + (f" of {reads.vocab:,}" if reads.vocab else "") + ", forward"
    terminal.print_table(f"{design.name}: {sample}", heads, rows, right=(3, 4, 5, 6))
    terminal.say(
        "A multiply-add is two FLOPs; activations are what a training step keeps of a sample."
    )
    again = recomputed(design.network, counts)
    if again is not None:
        terminal.say(
            f"With placement.recompute=blocks it keeps {terminal.bytes_text(again.kept_bytes)} of "
            f"them, {terminal.bytes_text(again.most_bytes)} at most at once, and computes "
            f"{100 * again.share:.0f} % more."
        )
    if design.moves is not None:
        terminal.say(f"It {design.moves.sentence()}.")


def _print_family(design: Design) -> None:
    row = design.published
    if row is not None:
        terminal.say(f"As published: {row.parameters:,} parameters; {row.source}")
    for decision in () if row is not None else design.decisions:
        name = decision.place.removeprefix("model.")
        terminal.say(f"{name} {terminal.shown(name, decision.value)}: {decision.reason}")
    terminal.say()
    terminal.say("# The layers, to copy into a recipe and change:")
    terminal.say(design.to_yaml().rstrip())
