"""BertForSequenceClassification by the Hugging Face Trainer.

`equal`: rows of one length. `real_padded`: sentences, each batch padded to its longest.
`real_grouped`: the same, of sentences of like length.
"""

from __future__ import annotations

from typing import Any

import language_bert_rows
import language_hf
import language_protocol
import torch
from language_data import Texts
from language_sizes import BERT
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import BertConfig, BertForSequenceClassification

KINDS = ("equal", "real_padded", "real_grouped")


def model_of() -> BertForSequenceClassification:
    """BERT of the benchmark's size, without dropout, as the other peers have none."""
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=BERT.vocab,
            hidden_size=BERT.width,
            num_hidden_layers=BERT.depth,
            num_attention_heads=BERT.heads,
            intermediate_size=BERT.mlp_width,
            max_position_embeddings=BERT.context,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=BERT.classes,
        )
    )


def main() -> None:
    """Trains as ordered, and reports."""
    order = language_protocol.order_of(language_protocol.parser(__doc__, KINDS).parse_args())
    torch.manual_seed(order.seed)
    texts, validation = language_bert_rows.read(order)
    model = model_of()

    def loss() -> float:
        batch = padded([example(validation, at) for at in range(len(validation))])
        labels = batch.pop("labels")
        return float(F.cross_entropy(model(**batch).logits.float(), labels))

    training = language_protocol.Training(order, language_hf.evaluated(model, loss))
    language_hf.train(
        model,
        language_hf.Examples(len(texts), lambda at: example(texts, at)),
        training,
        rows=BERT.rows,
        collate=padded,
        sampling="group_by_length" if order.kind == "real_grouped" else "sequential",
    )
    training.report(
        units=len(texts),
        flops=language_bert_rows.flops(texts),
        parameters=model.num_parameters(),
    )


def example(texts: Texts, at: int) -> dict[str, Any]:
    """One sentence with its label."""
    return {"input_ids": torch.from_numpy(texts[at]), "labels": int(texts.labels[at])}


def padded(examples: list[dict[str, Any]]) -> dict[str, Tensor]:
    """A batch as wide as its longest sentence."""
    rows = [one["input_ids"] for one in examples]
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    labels = torch.tensor([one["labels"] for one in examples])
    tokens = pad_sequence(rows, batch_first=True)
    return {"input_ids": tokens, "attention_mask": mask, "labels": labels}


if __name__ == "__main__":
    main()
