"""luthier doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from luthier.cli import terminal


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Show what this machine has: torch, CPU, GPU, memory, optional extras.

    Example: luthier doctor
    """
    from luthier.placement.machine import machine

    facts = machine()
    if json:
        terminal.print_json(facts)
        return
    for part, values in facts.items():
        terminal.print_pairs(part, values)
