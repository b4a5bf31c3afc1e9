"""Where the time goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from luthier.training.state import LoopState

Clock = Callable[[], float]


@dataclass(frozen=True)
class Reading:
    """What a meter shows at a moment; the difference of two tells what lies between them."""

    steps: int
    rows: int
    seconds: float
    """Of training steps."""
    waiting_seconds: float

    def __sub__(self, other: Reading) -> Reading:
        return Reading(
            self.steps - other.steps,
            self.rows - other.rows,
            self.seconds - other.seconds,
            self.waiting_seconds - other.waiting_seconds,
        )

    @property
    def rows_per_second(self) -> float:
        """Rows trained on, in a second of training."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_per_step(self) -> float:
        """Seconds of training that a step took."""
        return self.seconds / self.steps if self.steps else 0.0

    @property
    def waiting_share(self) -> float:
        """The share of the time that was spent waiting for data."""
        return self.waiting_seconds / self.seconds if self.seconds > 0 else 0.0


class Meter:
    """Counts steps, rows and time; its clock only ever goes forward.

    Args:
        start: What was counted in earlier parts of the run.
        clock: Seconds since some moment.
    """

    def __init__(self, start: LoopState, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._began = clock() - start.seconds
        self._training_began = clock() - start.step_seconds
        self._waiting = start.waiting_seconds
        self._steps = start.step
        self._rows = start.rows

    def seconds(self) -> float:
        """All time, pauses included."""
        return self._clock() - self._began

    def now(self) -> Reading:
        """What was counted up to now."""
        return Reading(self._steps, self._rows, self._clock() - self._training_began, self._waiting)

    def add_step(self, rows: int, waiting_seconds: float) -> None:
        """One step more."""
        self._steps += 1
        self._rows += rows
        self._waiting += waiting_seconds

    @contextmanager
    def pause(self) -> Iterator[None]:
        """What is done inside is not training."""
        began = self._clock()
        try:
            yield
        finally:
            self._training_began += self._clock() - began
