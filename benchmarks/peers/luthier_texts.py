"""luthier's classifiers of texts: the LSTM, and BERT at equal and at real lengths.

Batches of unequal lengths go through the network without padding, which is how luthier reads
texts; the settings are those of the other peers.
"""

from __future__ import annotations

from typing import Any

import language_bert_rows
import language_data
import language_protocol
import luthier_language
import numpy as np
import torch
from language_data import Texts
from language_sizes import BERT, LSTM

from luthier.data.target import Labels
from luthier.data.text.rows.samples import Text, TextSamples
from luthier.signal import Signal
from luthier.tasks.classify import Classify


def lstm() -> dict[str, Any]:
    """Embedding, one LSTM, dense on its last output; Adam."""
    layers = [
        {"kind": "tokens", "width": LSTM.width},
        {"kind": "recurrent", "cell": "lstm", "width": LSTM.width},
        {"kind": "global_pool", "reduce": "last"},
    ]
    return {
        "task": {"kind": "classify"},
        "model": {"layers": layers},
        "optimizer": {"kind": "adam", "learning_rate": 1e-3},
        "schedule": {"kind": "constant"},
    }


def bert(order: language_protocol.Order) -> dict[str, Any]:
    """BERT with its pooler, without dropout, as the Hugging Face Trainer trains it."""
    model = {
        "kind": "bert",
        "width": BERT.width,
        "depth": BERT.depth,
        "heads": BERT.heads,
        "mlp_width": BERT.mlp_width,
        "positions": BERT.context,
        "dropout": 0.0,
    }
    return {
        "task": {"kind": "classify"},
        "model": model,
        "optimizer": {"kind": "adamw", "learning_rate": 5e-4, "weight_decay": 0.1},
        "schedule": {"kind": "cosine", "warmup_steps": order.warmup_steps},
    }


def main() -> None:
    """Trains as ordered, and reports."""
    parser = language_protocol.parser(__doc__, language_bert_rows.KINDS)
    parser.add_argument("--lstm", action="store_true")
    given = parser.parse_args()
    order = language_protocol.order_of(given)
    torch.manual_seed(order.seed)
    size = LSTM if given.lstm else BERT
    if given.lstm:
        train, validation = language_data.read_excerpts(order.cache, order.steps * size.rows)
        longest, flops = LSTM.length, LSTM.training_flops()
    else:
        train, validation = language_bert_rows.read(order)
        longest, flops = BERT.context, language_bert_rows.flops(train)
    ours = luthier_language.made(
        order,
        lstm() if given.lstm else bert(order),
        Signal.tokens(context=longest, vocab=size.vocab),
        Labels(names=("0", "1")),
    )
    task = ours.task
    assert isinstance(task, Classify)

    def loss() -> float:
        batch = task.collate(samples(validation, np.arange(len(validation))))
        columns = task.judge(ours.network, batch)
        return float(columns["loss"].mean())

    def rows(step: int) -> TextSamples:
        at = np.arange(step * size.rows, (step + 1) * size.rows)
        return samples(train, at % len(train))

    training = language_protocol.Training(order, luthier_language.evaluated(ours, loss))
    luthier_language.train(ours, rows, training, clip_norm=None if given.lstm else 1.0)
    training.report(units=order.chunk_steps * size.rows, flops=flops, parameters=ours.parameters)


def samples(texts: Texts, rows: np.ndarray) -> TextSamples:
    """Some of the texts."""
    return TextSamples(
        texts=[Text(tokens=texts[at].astype(np.int32)) for at in rows],
        labels=torch.from_numpy(texts.labels[rows]),
        ids=torch.from_numpy(rows),
    )


if __name__ == "__main__":
    main()
