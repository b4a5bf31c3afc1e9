"""The verbs, and what a failure becomes: one clear message and an exit code.

0 done · 1 failed · 2 the user's input is wrong · 75 stopped by a signal with its state saved.
"""

from __future__ import annotations

import errno
import io
import sys

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from luthier.cli import after, before, doctor, generate, terminal, train
from luthier.errors import LuthierError

INTERRUPTED_WITH_NOTHING_TO_SAVE = 130

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    help=(
        "Design, train, evaluate and use neural networks from one recipe.\n\n"
        "Start: luthier train recipes/digits.yaml"
    ),
)
VERBS = (
    before.new,
    before.design,
    before.check,
    train.train,
    after.evaluate,
    after.predict,
    generate.generate,
    generate.chat,
    after.export,
    after.report,
    before.schema,
    doctor.doctor,
)
for verb in VERBS:
    app.command()(verb)


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that has no ×, … or é gets a ?
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Runs one command.

    Returns:
        Its exit code.
    """
    try:
        outcome = get_command(app).main(
            arguments or ["--help"], prog_name="luthier", standalone_mode=False
        )
    except LuthierError as error:
        terminal.complain(str(error))
        return error.exit_code
    except OSError as error:
        # What no part of luthier knows better words for: the disk's own are the message.
        terminal.complain(f"cannot use {error.filename or 'a file'}: {error.strerror or error}")
        return 2 if error.errno == errno.ENAMETOOLONG else 1
    except TyperException as error:
        terminal.complain(f"{_worded(error)} (see luthier --help)")
        return 2
    if outcome == INTERRUPTED_WITH_NOTHING_TO_SAVE:  # what typer makes of Ctrl-C
        terminal.complain("stopped; there was nothing to save")
    return outcome if isinstance(outcome, int) else 0


def _worded(error: TyperException) -> str:
    """What is wrong with the command; of a value, in the words that recipes get."""
    from pydantic import ValidationError

    from luthier.wording import wanted

    if not isinstance(error, typer.BadParameter) or not isinstance(
        error.__cause__, ValidationError
    ):
        return error.format_message()
    option = error.param.opts[0] if error.param is not None else "the command"
    return f"{option}: {wanted(error.__cause__.errors()[0])}"
