"""How the person who started a run is told about it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from luthier.data.decoding import Progress
from luthier.data.prepared import Noun
from luthier.training.events import Hook


class Watching(Protocol):
    """Who tells the person."""

    def say(self, text: str) -> None:
        """A line."""

    def warn(self, text: str) -> None:
        """A line that should not be overlooked."""

    def reading(self) -> AbstractContextManager[Progress | None]:
        """Around the reading of the data; gives what is told how far it is."""

    def training(self, noun: Noun) -> AbstractContextManager[tuple[Hook, ...]]:
        """Around the training on examples of that name; gives the hooks that are told of it."""


class Silent:
    """Tells nobody but for warnings; for programs."""

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """A Python warning: a program should not overlook it either."""
        warnings.warn(text, stacklevel=2)

    @contextmanager
    def reading(self) -> Iterator[Progress | None]:
        """Nothing."""
        yield None

    @contextmanager
    def training(self, noun: Noun) -> Iterator[tuple[Hook, ...]]:
        """Nothing."""
        yield ()
