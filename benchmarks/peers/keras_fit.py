"""Keras `model.fit` on numpy arrays in memory; the scripts beside this one choose the backend."""

from __future__ import annotations

import keras
import mnist
import protocol


class _Clock(keras.callbacks.Callback):
    def __init__(self, training: protocol.Training, data: mnist.Mnist) -> None:
        super().__init__()
        self._training = training
        self._pictures = mnist.unit_floats(data.test_pictures)[..., None]
        self._labels = data.test_labels

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._training.begin_epoch()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self._training.end_epoch(self._accuracy)

    def _accuracy(self) -> float:
        guessed = self.model.predict(self._pictures, batch_size=1000, verbose=0).argmax(1)
        return float((guessed == self._labels).mean())


def main() -> None:
    """Trains as ordered, and reports."""
    order = protocol.order()
    keras.utils.set_random_seed(order.seed)
    if order.precision == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    data = mnist.load(order.data)
    model = keras.Sequential(
        [
            keras.Input((mnist.SIDE, mnist.SIDE, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            # The softmax runs in float32, as Keras' guide to mixed precision asks.
            keras.layers.Dense(mnist.CLASSES),
            keras.layers.Activation("softmax", dtype="float32"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(protocol.LEARNING_RATE),
        loss="sparse_categorical_crossentropy",
    )
    training = protocol.Training()
    model.fit(
        mnist.unit_floats(data.train_pictures)[..., None],
        data.train_labels,
        batch_size=protocol.BATCH_ROWS,
        epochs=order.epochs,
        shuffle=True,
        verbose=0,
        callbacks=[_Clock(training, data)],
    )
    training.report(len(data.train_labels))
