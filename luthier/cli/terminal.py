"""Printing for people and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

WIDEST = 10_000
"""Characters of a line; more than any table has."""


def console(stderr: bool = False) -> Console:
    """Where people read."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)


def say(text: str = "") -> None:
    """One line for a person, as it is: no markup is read in it."""
    console().print(text, markup=False)


def write(text: str) -> None:
    """A piece of text as it comes, at once, with no line break of ours: what a model writes."""
    sys.stdout.write(text)
    sys.stdout.flush()


def ask() -> str:
    """A line that the person types; empty at the end of what there is."""
    if sys.stdin.isatty():
        write("> ")
    return sys.stdin.buffer.readline().decode(errors="replace").rstrip("\r\n")


def complain(text: str) -> None:
    """An error for a person, on standard error."""
    console(stderr=True).print(f"error: {text}", markup=False, style="red")


def warn(text: str) -> None:
    """A warning for a person, on standard error."""
    console(stderr=True).print(f"warning: {text}", markup=False, style="yellow")


def print_json(value: Any) -> None:
    """A value for a program, on standard output, whatever letters that can take."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=plain) + "\n")


def print_pairs(title: str, values: Mapping[str, Any]) -> None:
    """A small table of names and values."""
    print_table(title, ("", ""), [(name, shown(name, value)) for name, value in values.items()])


def print_table(
    title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()
) -> None:
    """A table; the columns in `right` are numbers and stand to the right.

    It is as wide as it needs to be: a narrow terminal folds its lines, but no figure is lost.
    """
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    table.show_header = any(heads)
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_escaped(cell) for cell in row))
    paper = console()
    needed = paper.measure(table, options=paper.options.update(width=WIDEST)).maximum
    paper.width = max(needed, paper.width)
    paper.print(table)
    paper.print()


def print_tokens(
    stretches: Iterable[tuple[Sequence[str], bool]], more: int = 0, before: int = 0
) -> None:
    """Tokens, each apart from the next; those of marked stretches in colour, between « and »."""
    line = Text()
    line.append(f"{before:,} tokens, and then … " if before else "", style="dim")
    for tokens, marked in stretches:
        line.append("«" if marked else "", style="bold")
        for number, token in enumerate(tokens):
            shade = ("green", "bold green") if marked else ("dim", "")
            line.append(token, style=shade[number % 2])
            line.append("" if number == len(tokens) - 1 else "|", style="dim")
        line.append("»" if marked else "|", style="bold" if marked else "dim")
    line.append(f"… and {more:,} tokens more" if more else "", style="dim")
    console().print(line)


def shown(name: str, value: Any) -> str:
    """A value as people read it; the unit is in the name."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if name.endswith("_bytes"):
        return bytes_text(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(key, inner)}" for key, inner in value.items())
    return str(value)


def bytes_text(count: float) -> str:
    """A number of bytes: `1.5 MiB`.

    Example:
        >>> bytes_text(1536 * 1024)
        '1.5 MiB'
        >>> bytes_text(12)
        '12 B'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def count_text(count: float) -> str:
    """A large count: `3.6 M`.

    Example:
        >>> count_text(3_640_000), count_text(940)
        ('3.64 M', '940')
    """
    for unit in ("", " k", " M", " G"):
        if abs(count) < 1000:
            return f"{count:.0f}" if not unit else f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g} T"


def _escaped(cell: str) -> str:
    return cell.replace("[", r"\[")


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar on standard error while something is read; nothing where nobody watches.

    Gives a function to tell (what is being done, how much is done, of how much).
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield tell
