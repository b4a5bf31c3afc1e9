"""luthier generate, luthier chat."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from luthier.cli import terminal

Run = Annotated[Path, typer.Argument(help="A run directory, or the name of one in runs/.")]
MaxTokens = Annotated[int | None, typer.Option(help="The most tokens to write; 200 if left out.")]
Greedy = Annotated[bool, typer.Option("--greedy", help="Always take the likeliest token.")]
Temperature = Annotated[
    float | None, typer.Option(help="Below 1 the likely become likelier; 0.8 if left out.")
]
TopK = Annotated[int | None, typer.Option(help="Draw among the k likeliest tokens.")]
TopP = Annotated[float | None, typer.Option(help="Draw among those that together reach p.")]
MinP = Annotated[float | None, typer.Option(help="Draw among those p times as likely as the best.")]
Penalty = Annotated[float | None, typer.Option(help="Above 1, what was said becomes less likely.")]
Stop = Annotated[list[str] | None, typer.Option(help="A text to stop at; may be given again.")]
Seed = Annotated[int | None, typer.Option(help="Decides what is drawn.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


def generate(
    run: Run,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="A text to continue; may be given again; - reads standard input."),
    ] = None,
    max_tokens: MaxTokens = None,
    greedy: Greedy = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: Penalty = None,
    stop: Stop = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Continue texts with a language model, as they are written.

    Example: luthier generate runs/shakespeare_char --prompt "ROMEO:" --max-tokens 300
    """
    from luthier.run.finished import load

    settings = _chosen(
        {
            "max_tokens": max_tokens,
            "greedy": greedy or None,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repetition_penalty": repetition_penalty,
            "stop": stop,
            "seed": seed,
        }
    )
    prompts = [sys.stdin.read() if text == "-" else text for text in prompt or [""]]
    told = None
    if not json and len(prompts) == 1:
        terminal.write(prompts[0])
        told = _tell
    found = load(run).generate(prompts, settings, told)
    if json:
        rows = [one.to_json() for one in found]
        terminal.print_json(rows[0] if len(rows) == 1 else rows)
    elif told is not None:
        terminal.write("\n")
    else:
        for one in found:
            terminal.say(one.prompt + one.text)
            terminal.say()


def chat(
    run: Run,
    max_tokens: MaxTokens = None,
    greedy: Greedy = False,
    temperature: Temperature = None,
    top_p: TopP = None,
    repetition_penalty: Penalty = None,
    stop: Stop = None,
    seed: Seed = None,
) -> None:
    """Write a text in turns with a language model: a line of yours, then its own.

    The network reads the text so far, your line last; it writes on until a line ends, or until
    --stop. An empty line or Ctrl-D ends it.

    Example: luthier chat runs/shakespeare_char
    """
    from luthier.run.finished import load

    settings = _chosen(
        {
            "max_tokens": max_tokens,
            "greedy": greedy or None,
            "temperature": temperature,
            "top_p": top_p,
            "repetition_penalty": repetition_penalty,
            "stop": stop or ["\n"],
            "seed": seed,
        }
    )
    conversation = load(run).converse(settings)
    while line := terminal.ask():
        conversation.say(line + "\n", _tell)
        terminal.write("\n")


def _tell(row: int, text: str) -> None:
    terminal.write(text)


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, and nothing of what was left out: a default is no choice."""
    return {name: value for name, value in options.items() if value is not None}
