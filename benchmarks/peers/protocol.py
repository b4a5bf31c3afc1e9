"""What every peer is asked and answers: arguments in, one JSON line out.

A peer trains the benchmark's network, and says how long each epoch took without its evaluation,
and how accurate the network was after it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

BATCH_ROWS = 128
LEARNING_RATE = 1e-3
TARGET_ACCURACY = 0.985


@dataclass(frozen=True)
class Order:
    """What a peer is asked to do."""

    epochs: int
    seed: int
    precision: str
    """`fp32` or `bf16`."""
    data: Path
    """The directory of the MNIST files."""


@dataclass
class Training:
    """What was measured so far: one entry an epoch."""

    epoch_seconds: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    _started: float = 0.0

    def begin_epoch(self) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    def end_epoch(self, accuracy: Callable[[], float]) -> None:
        """Stops the clock, then evaluates."""
        self.epoch_seconds.append(time.perf_counter() - self._started)
        self.accuracies.append(accuracy())

    def report(self, rows: int) -> None:
        """Prints the peer's one JSON line."""
        print(json.dumps(summary(rows, self.epoch_seconds, self.accuracies)), flush=True)


def order() -> Order:
    """The order on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), required=True)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    return Order(given.epochs, given.seed, given.precision, given.data)


def summary(rows: int, epoch_seconds: list[float], accuracies: list[float]) -> dict[str, object]:
    """The measurement of one training.

    The rate leaves out the first epoch, in which peers trace and compile, where there is another.
    The seconds to the target count all of it.

    Args:
        rows: Training pictures in one epoch.
        epoch_seconds: Seconds of training in each epoch.
        accuracies: Test accuracy after each epoch.
    """
    assert len(epoch_seconds) == len(accuracies) > 0
    steady = epoch_seconds[1:] or epoch_seconds
    reached = [at for at, accuracy in enumerate(accuracies) if accuracy >= TARGET_ACCURACY]
    return {
        "images_per_second": rows / statistics.median(steady),
        "seconds_to_target": sum(epoch_seconds[: reached[0] + 1]) if reached else None,
        "accuracy": accuracies[-1],
        "epoch_seconds": epoch_seconds,
        "accuracies": accuracies,
    }
