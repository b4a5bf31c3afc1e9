"""A run as the person at the terminal sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from luthier.cli import terminal
from luthier.data.decoding import Progress
from luthier.data.prepared import Noun
from luthier.training.events import Hook
from luthier.training.progress import shown_progress


class AtTheTerminal:
    """Tells the person, on standard error; standard output is for results.

    Args:
        quiet: Whether only warnings are told.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet

    def say(self, text: str) -> None:
        """A line."""
        if not self._quiet:
            terminal.console(stderr=True).print(text, markup=False)

    def warn(self, text: str) -> None:
        """A line that should not be overlooked."""
        terminal.warn(text)

    def reading(self) -> AbstractContextManager[Progress | None]:
        """A bar while the data is read."""
        return terminal.progress(quiet=self._quiet)

    @contextmanager
    def training(self, noun: Noun) -> Iterator[tuple[Hook, ...]]:
        """A bar while the network trains."""
        if self._quiet:
            yield ()
            return
        with shown_progress(
            terminal.console(stderr=True), noun.unit, noun.units_on_average
        ) as hook:
            yield (hook,)
