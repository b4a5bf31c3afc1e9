"""An LSTM classifier by Keras `model.fit`."""

from __future__ import annotations

import keras
import language_data
import language_keras_fit
import language_protocol
import numpy as np
from language_sizes import LSTM


def network() -> keras.Sequential:
    """Embedding, one LSTM, dense on its last output."""
    return keras.Sequential(
        [
            keras.Input((LSTM.length,), dtype="int32"),
            keras.layers.Embedding(LSTM.vocab, LSTM.width),
            keras.layers.LSTM(LSTM.width),
            # The logits are float32, as Keras' guide to mixed precision asks.
            keras.layers.Dense(LSTM.classes, dtype="float32"),
        ]
    )


def arrays(texts: language_data.Texts) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and labels."""
    return texts.padded(LSTM.length)[0], texts.labels


def main() -> None:
    """Trains as ordered, and reports."""
    given = language_protocol.parser(__doc__, ("equal",)).parse_args()
    order = language_protocol.order_of(given)
    language_keras_fit.set_up(order)
    train, validation = language_data.read_excerpts(order.cache, order.steps * LSTM.rows)
    model = network()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def loss() -> float:
        found = model.evaluate(*arrays(validation), verbose=0, return_dict=True)
        return float(found["loss"])

    training = language_protocol.Training(order, loss)
    language_keras_fit.fit(model, *arrays(train), training, shuffle=False)
    training.report(
        units=order.chunk_steps * LSTM.rows,
        flops=LSTM.training_flops(),
        parameters=model.count_params(),
    )


if __name__ == "__main__":
    main()
