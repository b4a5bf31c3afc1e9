"""KerasHub's GPT-2 by `model.fit`.

Its guide "GPT text generation from scratch" trains by Adam with Keras's default rate, 1e-3, and
no schedule. Here it is AdamW with that rate and Keras's cosine schedule with warm-up, so that
it has what the other peers have.
"""

from __future__ import annotations

import keras
import keras_hub
import language_data
import language_keras_fit
import language_protocol
import numpy as np
from language_sizes import GPTS, Gpt

LEARNING_RATE = 1e-3


def model_of(size: Gpt) -> keras_hub.models.GPT2CausalLM:
    """GPT-2 of that size, without dropout, as the other peers have none."""
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=size.vocab,
        num_layers=size.depth,
        num_heads=size.heads,
        hidden_dim=size.width,
        intermediate_dim=size.mlp_width,
        dropout=0.0,
        max_sequence_length=size.context,
    )
    return keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)


def inputs_and_targets(rows: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the model reads, of rows that are one token longer."""
    tokens = rows.astype(np.int32)
    read = {"token_ids": tokens[:, :-1], "padding_mask": np.ones_like(tokens[:, :-1])}
    return read, tokens[:, 1:]


def main() -> None:
    """Trains as ordered, and reports."""
    order = language_protocol.order_of(language_protocol.parser(__doc__, GPTS).parse_args())
    language_keras_fit.set_up(order)
    stream = language_data.read_stream(order.cache, GPTS[order.kind], order.seed)
    size = stream.size
    model = model_of(size)
    model.compile(
        optimizer=keras.optimizers.AdamW(language_keras_fit.cosine(order, LEARNING_RATE)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
    )
    validation = inputs_and_targets(stream.validation())

    def loss() -> float:
        found = model.evaluate(*validation, batch_size=size.rows, verbose=0, return_dict=True)
        return float(found["loss"])

    training = language_protocol.Training(order, loss)
    rows = np.concatenate([stream.batch(step) for step in range(order.steps)])
    language_keras_fit.fit(model, *inputs_and_targets(rows), training)
    training.report(
        units=order.chunk_steps * size.rows * size.context,
        flops=size.token_flops,
        parameters=model.count_params(),
    )


if __name__ == "__main__":
    main()
