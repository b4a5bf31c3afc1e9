"""GPT2LMHeadModel on speeches of unequal length, by the ways that the Hugging Face stack has.

`padded`: each batch to its longest. `grouped`: the same, of documents of like length. `packed`:
all documents one after the other, cut into rows of the context, as examples/pytorch's run_clm.py
does; a token attends to the document before. `flattened`: DataCollatorWithFlattening, a batch as
one row in which documents do not see each other. A chunk is one pass over the same documents.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import language_data
import language_gpt
import language_hf
import language_protocol
import numpy as np
import torch
from language_hf_gpt import model_of
from language_sizes import GPTS, Gpt
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DataCollatorWithFlattening

KINDS = ("padded", "grouped", "packed", "flattened")
SIZE = GPTS["5m"]
IGNORED = -100


def main() -> None:
    """Trains as ordered, and reports."""
    order = language_protocol.order_of(language_protocol.parser(__doc__, KINDS).parse_args())
    torch.manual_seed(order.seed)
    folder = language_data.bpe_folder(order.cache, SIZE.vocab)
    speeches = language_data.read_texts(folder / "speeches.npz")
    documents = speeches.first(order.chunk_steps * SIZE.rows)
    rows = [documents[at] for at in range(len(documents))]
    if order.kind == "packed":
        rows = packed(rows, SIZE)
        order = dataclasses.replace(order, chunk_steps=len(rows) // SIZE.rows)
    model = model_of(SIZE)
    stream = language_data.read_stream(order.cache, SIZE, order.seed)

    def loss() -> float:
        return language_gpt.validation_loss(lambda tokens: model(input_ids=tokens).logits, stream)

    training = language_protocol.Training(order, language_hf.evaluated(model, loss))
    language_hf.train(
        model,
        language_hf.Examples(len(rows), lambda at: {"input_ids": torch.from_numpy(rows[at])}),
        training,
        rows=SIZE.rows,
        collate=DataCollatorWithFlattening() if order.kind == "flattened" else padded,
        sampling="group_by_length" if order.kind == "grouped" else "sequential",
    )
    tokens = sum(len(row) for row in rows)
    flops = sum(SIZE.training_flops(int(length)) for length in documents.lengths)
    training.report(
        units=tokens,
        flops=flops / int(documents.lengths.sum()),
        parameters=model.num_parameters(),
    )


def padded(examples: list[dict[str, Tensor]]) -> dict[str, Any]:
    """A batch as wide as its longest row, whose padding is not seen and not learned."""
    rows = [example["input_ids"] for example in examples]
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    tokens = pad_sequence(rows, batch_first=True)
    return {
        "input_ids": tokens,
        "attention_mask": mask,
        "labels": tokens.masked_fill(mask == 0, IGNORED),
    }


def packed(rows: list[np.ndarray], size: Gpt) -> list[np.ndarray]:
    """Whole batches of rows of the context; what is left over is dropped."""
    tokens = np.concatenate(rows)
    count = len(tokens) // size.context // size.rows * size.rows
    return list(tokens[: count * size.context].reshape(count, size.context))


if __name__ == "__main__":
    main()
