"""Data that is ready to be trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from luthier.data.examples import Examples
from luthier.data.target import Target
from luthier.signal import Signal
from luthier.spec import Decision


class Inputs(Protocol):
    """Makes samples of what somebody gives to a finished model: as its training data was made."""

    def files(self) -> Mapping[str, bytes]:
        """What a finished model keeps of it: the name and the content of each file."""

    def listed(self, given: Sequence[Any]) -> list[Any]:
        """Every input, one by one: the pictures of a folder, the lines of a file.

        Raises:
            DataError: If there is nothing to read.
        """

    def named(self, item: Any, index: int) -> str:
        """What a person calls an input."""

    def samples(self, items: Sequence[Any], start: int) -> Any:
        """Some of the listed inputs as a task's `collate` reads them, with nothing known of them.

        Args:
            items: At most `at_once` of them.
            start: The number of the first, for messages.

        Raises:
            DataError: If one of them cannot be read; names it.
        """

    @property
    def at_once(self) -> int:
        """How many go through a network together."""


@dataclass(frozen=True, kw_only=True)
class Noun:
    """What one example is called, and what a rate counts."""

    one: str
    """`image`, `text`, `row`."""
    many: str
    unit: str
    """What is told a second: `images`, `tokens`."""
    units: int = 1
    """Of them in one example that is full."""
    filled: float = 1.0
    """The share of them that examples hold on average."""

    @property
    def units_on_average(self) -> float:
        """Of them in one example, for rates."""
        return self.units * self.filled


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Data that is ready to be trained on."""

    train: Examples[Any]
    validation: Examples[Any] | None
    test: Examples[Any] | None
    target: Target
    """What the data says of each input."""
    signal: Signal
    """The form and shape of one input."""
    inputs: Inputs
    """What makes the same samples of inputs that come later."""
    decisions: tuple[Decision, ...]
    """What was left to luthier."""
    fingerprint: str
    """Changes when an input, a label or a split does."""
    recognised: str
    """What the data is, in one sentence."""
    skipped: tuple[tuple[str, str], ...]
    """Files or rows that were left out, with the reason."""
    noun: Noun
    by_length: bool = False
    """Whether a step learns from rows of like lengths, which `train.lengths` tells."""
