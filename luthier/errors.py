"""The errors that luthier raises for its users.

    LuthierError                 exit code
    ├── InputError               2    what the user gave is wrong: recipe, command, data, run
    │   ├── SpecError            2    a recipe: every problem of it at once
    │   ├── ShapeError           2    a block cannot read what comes before it
    │   └── DataError            2    the data: files, labels, pictures
    ├── RunError                 1    something failed that the user did not type
    │   ├── StorageError         1    the disk: full, read-only, gone
    │   └── DivergedError        1    the training: losses or gradients stayed non-finite
    └── Interrupted              75   stopped by a signal, with its state saved: run me again

A message says what was got, what was wanted and what to do. Broken invariants of luthier's own
are `assert`, not one of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class LuthierError(Exception):
    """Any error that luthier words for its user. Its text is the whole message."""

    exit_code = 1


class InputError(LuthierError):
    """What the user gave is wrong; nothing was started, nothing is lost."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong in a recipe."""

    place: str
    """Where: `model.layers[3].channels`."""
    message: str
    """What was got, what was wanted, what to do."""
    line: int | None = None
    """The line in the file, from 1; none when it came from the command line or from Python."""

    def __str__(self) -> str:
        where = self.place or "the recipe"
        return f"{where}: {self.message}" + (f" (line {self.line})" if self.line else "")


class SpecError(InputError):
    """A recipe that cannot be used, with all of its problems."""

    def __init__(self, problems: Iterable[Problem], source: str | None = None) -> None:
        self.problems = tuple(problems)
        self.source = source
        count = len(self.problems)
        head = f"{source or 'the recipe'}: {count} problem{'s' if count != 1 else ''}"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


class ShapeError(InputError):
    """A block that cannot read the signal it gets. Names the block's place once it is known."""

    def __init__(self, message: str, place: str = "") -> None:
        self.message = message
        self.place = place
        super().__init__(f"{place}: {message}" if place else message)

    def at(self, place: str) -> ShapeError:
        """The same error, inside `place`: `model.layers[2]` + `layers[0]`."""
        inner = f".{self.place}" if self.place else ""
        return ShapeError(self.message, f"{place}{inner}")


class DataError(InputError):
    """Data that cannot be used: names the files, and what to do."""


class RunError(LuthierError):
    """Something failed that the user did not type."""


class StorageError(RunError):
    """The disk did not do what was asked: full, read-only, gone."""


class DivergedError(RunError):
    """Losses or gradients stayed non-finite; the last good checkpoint is kept."""


class Interrupted(LuthierError):  # noqa: N818  (a stop that was asked for, not a fault)
    """Stopped by a signal, with its state saved."""

    exit_code = 75


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint for a misspelt name: `; did you mean "channels"?`, else the valid names.

    Example:
        >>> nearest("chanels", ["channels", "kernel"])
        '; did you mean "channels"?'
        >>> nearest("zzz", ["channels", "kernel"])
        '; valid: channels, kernel'
    """
    names = sorted(set(valid))
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; valid: {', '.join(names)}" if names else ""


def missing_extra(package: str, extra: str) -> InputError:
    """The one sentence for an optional package that is not installed."""
    return InputError(
        f'this needs {package}, which is not installed: pip install "luthier[{extra}]"'
    )
