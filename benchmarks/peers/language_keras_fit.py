"""Keras `model.fit` on batches in a given order, timed by the epoch: one epoch is one chunk."""

from __future__ import annotations

from typing import Any

import keras
import language_protocol
import numpy as np


class _Clock(keras.callbacks.Callback):
    def __init__(self, training: language_protocol.Training) -> None:
        super().__init__()
        self._training = training

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._training.begin()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self._training.end()


def fit(
    model: keras.Model,
    inputs: Any,
    targets: np.ndarray,
    training: language_protocol.Training,
    **settings: Any,
) -> None:
    """Trains `model` for the order's steps on rows in the order given.

    Args:
        model: Compiled.
        inputs: All rows that it reads, as arrays.
        targets: Theirs.
        training: The clock.
        settings: What else `model.fit` is told.
    """
    order = training.order
    model.fit(
        inputs,
        targets,
        batch_size=len(targets) // order.steps,
        steps_per_epoch=order.chunk_steps,
        epochs=order.chunks,
        verbose=0,
        callbacks=[_Clock(training)],
        **settings,
    )


def set_up(order: language_protocol.Order) -> None:
    """The seed, and the precision by Keras's policy."""
    keras.utils.set_random_seed(order.seed)
    if order.bf16:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")


def cosine(order: language_protocol.Order, peak: float) -> keras.optimizers.schedules.CosineDecay:
    """Keras's own cosine schedule with warm-up."""
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, order.steps - order.warmup_steps),
        warmup_target=peak,
        warmup_steps=order.warmup_steps,
    )
