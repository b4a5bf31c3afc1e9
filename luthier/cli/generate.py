"""luthier generate, luthier chat."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from luthier.cli import terminal
from luthier.errors import InputError

STANDARD_INPUT = "-"

Run = Annotated[
    Path,
    typer.Argument(
        help="A run directory, or the name of one in runs/; or a pretrained network: a Hugging "
        "Face folder, its name on the hub, a GGUF file."
    ),
]
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
System = Annotated[str | None, typer.Option(help="The system message, of a model that chats.")]
NoTemplate = Annotated[
    bool, typer.Option("--no-template", help="Continue the text itself, with no chat template.")
]
Weights = Annotated[
    Literal["auto", "fp32", "bf16", "int8"],
    typer.Option(help="auto, fp32, bf16 or int8: fewer bits are faster, and less exact."),
]
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
    system: System = None,
    no_template: NoTemplate = False,
    weights: Weights = "auto",
    json: Json = False,
) -> None:
    """Continue texts with a language model, as they are written.

    A model that learned from conversations answers the prompt, in the form of its template.

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
    prompts = _prompts(prompt or [""])
    told = None if json or len(prompts) > 1 else _Shown(prompts[0])
    loaded = load(run)
    if told is not None and loaded.speaks and not no_template:
        told = _Shown("")  # an answer stands alone
    found = loaded.generate(
        prompts, settings, told, system=system, template=not no_template, weights=weights
    )
    if json:
        rows = [one.to_json() for one in found]
        terminal.print_json(rows[0] if len(rows) == 1 else rows)
    elif told is not None:
        told.end()
    else:
        between = "\n" if loaded.speaks and not no_template else ""
        for one in found:
            terminal.write(one.prompt + between + one.text + "\n\n")


def chat(
    run: Run,
    max_tokens: MaxTokens = None,
    greedy: Greedy = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: Penalty = None,
    stop: Stop = None,
    seed: Seed = None,
    system: System = None,
    no_template: NoTemplate = False,
    weights: Weights = "auto",
) -> None:
    """Write a text in turns with a language model: a line of yours, then its own.

    A model that learned from conversations answers you, in the form of its template. Another one
    reads the text so far, your line last, and writes on until a line ends, or until --stop. An
    empty line or Ctrl-D ends it.

    Example: luthier chat runs/shakespeare_char
    """
    from luthier.run.finished import load

    loaded = load(run)
    answers = loaded.speaks and not no_template
    settings = _chosen(
        {
            "max_tokens": max_tokens,
            "greedy": greedy or None,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repetition_penalty": repetition_penalty,
            "stop": stop or (None if answers else ["\n"]),
            "seed": seed,
        }
    )
    conversation = loaded.converse(
        settings, system=system, template=not no_template, weights=weights
    )
    while line := terminal.ask():
        told = _Shown("")
        conversation.say(line if answers else line + "\n", told)
        told.end()


class _Shown:
    """A text as it is written.

    Args:
        prompt: Shown before it, as soon as that is sure to be taken.
    """

    def __init__(self, prompt: str) -> None:
        self._before = prompt

    def __call__(self, _row: int, text: str) -> None:
        """More of the text."""
        terminal.write(self._before + text)
        self._before = ""

    def end(self) -> None:
        """The text is whole."""
        terminal.write(self._before + "\n")


def _prompts(given: Sequence[str]) -> list[str]:
    """The prompts, with what standard input holds for `-`.

    Raises:
        InputError: If it is asked for twice, or is no text.
    """
    if given.count(STANDARD_INPUT) > 1:
        raise InputError("--prompt -: got it twice, but standard input can be read once only")
    return [_standard_input() if text == STANDARD_INPUT else text for text in given]


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"standard input: is not UTF-8 text, byte {error.start}") from None


def _chosen(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, and nothing of what was left out: a default is no choice."""
    return {name: value for name, value in options.items() if value is not None}
