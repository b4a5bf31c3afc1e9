"""KerasHub's BertTextClassifier by `model.fit`; sentences are padded to one width, as its
preprocessor does."""

from __future__ import annotations

import keras
import keras_hub
import language_bert_rows
import language_keras_fit
import language_protocol
import numpy as np
from language_data import Texts
from language_sizes import BERT


def model_of() -> keras_hub.models.BertTextClassifier:
    """BERT of the benchmark's size, without dropout, as the other peers have none."""
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=BERT.vocab,
        num_layers=BERT.depth,
        num_heads=BERT.heads,
        hidden_dim=BERT.width,
        intermediate_dim=BERT.mlp_width,
        dropout=0.0,
        max_sequence_length=BERT.context,
    )
    return keras_hub.models.BertTextClassifier(
        backbone, num_classes=BERT.classes, dropout=0.0, preprocessor=None
    )


def arrays(texts: Texts, width: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the model reads, and the labels."""
    tokens, inside = texts.padded(width)
    read = {
        "token_ids": tokens,
        "padding_mask": inside.astype(np.int32),
        "segment_ids": np.zeros_like(tokens),
    }
    return read, texts.labels


def main() -> None:
    """Trains as ordered, and reports."""
    parser = language_protocol.parser(__doc__, language_bert_rows.KINDS)
    order = language_protocol.order_of(parser.parse_args())
    language_keras_fit.set_up(order)
    texts, validation = language_bert_rows.read(order)
    width = language_bert_rows.width(texts, validation)
    model = model_of()
    model.compile(
        # Its default optimizer is Adam with 5e-5 for fine-tuning; from scratch the rate is HF's.
        optimizer=keras.optimizers.AdamW(language_keras_fit.cosine(order, 5e-4)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[],
    )

    def loss() -> float:
        found = model.evaluate(*arrays(validation, width), verbose=0, return_dict=True)
        return float(found["loss"])

    training = language_protocol.Training(order, loss)
    language_keras_fit.fit(model, *arrays(texts.repeated(order.steps * BERT.rows), width), training)
    training.report(
        units=len(texts),
        flops=language_bert_rows.flops(texts),
        parameters=model.count_params(),
    )


if __name__ == "__main__":
    main()
