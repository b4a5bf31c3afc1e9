"""What the loop calls between its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from luthier.metrics.interval import Metric
from luthier.training.events import Hook
from luthier.training.state import LoopState


class Measured(Protocol):
    """What an evaluation found."""

    @property
    def headline(self) -> str:
        """The metric that decides: a key of `metrics`."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The task's metrics."""

    @property
    def loss(self) -> Metric:
        """The task's loss."""

    @property
    def samples(self) -> Mapping[str, str]:
        """What the network wrote after each prompt; empty where nobody asked."""


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """What the loop calls; all of it may be left out."""

    evaluate: Callable[[], Measured] | None = None
    """Measures the network on the validation split, and leaves it as it was."""
    save: Callable[[LoopState], None] | None = None
    """Writes a checkpoint of the learner's tensors with this state. It is the best one so far
    if `best_step` is `step`."""
    hooks: tuple[Hook, ...] = ()
    """Are told what happens."""
    stop: Callable[[], bool] = _never
    """Asked after each step: whether to save and stop."""
