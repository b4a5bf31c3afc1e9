"""luthier, by its Python API: `luthier.train` with a recipe.

The test split stands in the place of the validation split, so that luthier evaluates on it after
each epoch. The times are those that luthier tells its hooks: of training steps with their waiting
for data, without evaluations and checkpoints, as of the peers.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mnist
import numpy as np
import protocol

import luthier
from luthier.training.events import Evaluated, Event, Logged

LOGS_AN_EPOCH = 7
"""469 steps in parts of 67: near luthier's default, which is to log every 50 steps, and one of
them ends with each epoch."""


def recipe(order: protocol.Order, data: Path, rows: int) -> dict[str, Any]:
    """The benchmark's recipe, as plain data."""
    steps = -(-rows // protocol.BATCH_ROWS)
    assert steps % LOGS_AN_EPOCH == 0
    return {
        "name": "benchmark",
        "task": {"kind": "classify"},
        "data": {
            "kind": "npz",
            "path": str(data),
            "normalize": "unit",
            "split": {"test": 0},
        },
        "model": {
            "layers": [
                {"kind": "conv", "channels": 32, "kernel": 3, "activation": "relu"},
                {"kind": "max_pool", "size": 2},
                {"kind": "flatten"},
                {"kind": "dense", "width": 128, "activation": "relu"},
            ],
            # Keras's own, so that the settings are the same as of the fastest peer.
            "initialize": {"scheme": "glorot_uniform"},
        },
        "optimizer": {"kind": "adam", "learning_rate": protocol.LEARNING_RATE},
        "training": {
            "epochs": order.epochs,
            "batch_size": protocol.BATCH_ROWS,
            "seed": order.seed,
            "log_every_steps": steps // LOGS_AN_EPOCH,
            "checkpoint_every_steps": order.epochs * steps,
        },
        "placement": {"precision": order.precision},
    }


@dataclass
class Listener:
    """A hook that adds up the epochs."""

    epoch_rows: int
    """Training pictures in one epoch."""
    training: protocol.Training = field(default_factory=protocol.Training)
    _rows: int = 0
    _seconds: float = 0.0

    def __call__(self, event: Event) -> None:
        """Reads the events that tell of time and accuracy."""
        if isinstance(event, Logged):
            self._add(event)
        elif isinstance(event, Evaluated):
            self.training.accuracies.append(event.metrics["accuracy"].value)

    def _add(self, event: Logged) -> None:
        steps = -(-self.epoch_rows // protocol.BATCH_ROWS)
        epochs, rest = divmod(event.step, steps)
        rows = epochs * self.epoch_rows + rest * protocol.BATCH_ROWS
        # Its rate is of the steps since it was last told.
        self._seconds += (rows - self._rows) / event.rows_per_second
        self._rows = rows
        if rest == 0:
            self.training.epoch_seconds.append(self._seconds)
            self._seconds = 0.0


def main() -> None:
    """Trains as ordered, and reports."""
    order = protocol.order()
    data = mnist.load(order.data)
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "mnist.npz"
        np.savez(
            arrays,
            x_train=data.train_pictures,
            y_train=data.train_labels,
            x_validation=data.test_pictures,
            y_validation=data.test_labels,
        )
        listener = Listener(len(data.train_labels))
        plain = recipe(order, arrays, listener.epoch_rows)
        luthier.train(plain, out=Path(folder) / "run", hooks=[listener])
    listener.training.report(listener.epoch_rows)


if __name__ == "__main__":
    main()
