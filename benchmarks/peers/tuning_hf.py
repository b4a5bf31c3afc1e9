"""The Hugging Face Trainer with PEFT, by the ways to batch that its examples have.

`padded`: each batch to its longest, the default. `grouped`: the same, of conversations of like
length. `packed`: one after the other, cut into rows of the context, as examples/pytorch's
run_clm.py does; a token attends to the conversation before.
"""

from __future__ import annotations

import dataclasses
import tempfile

import language_hf
import language_protocol
import numpy as np
import torch
import tuning_memory
import tuning_peft
import tuning_protocol
import tuning_rows
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Trainer, TrainingArguments
from tuning_rows import Conversations
from tuning_sizes import LEARNING_RATE, ROWS, TUNED

BATCHING = ("padded", "grouped", "packed")


def main() -> None:
    """Trains as ordered, and reports."""
    parser = tuning_protocol.parser(__doc__)
    parser.add_argument("--batching", choices=BATCHING, required=True)
    given = parser.parse_args()
    order = language_protocol.order_of(given)
    torch.manual_seed(order.seed)
    train, held_out = tuning_rows.read(order.cache, order.kind, tuning_protocol.rows(order))
    if given.batching == "packed":
        train = packed(train, TUNED[order.kind].context)
    order = dataclasses.replace(order, chunk_steps=-(-len(train) // ROWS))
    model = tuning_peft.adapted(order)
    watched = tuning_protocol.Watched(order, tuning_peft.held_out_loss(model, held_out))

    def example(at: int) -> dict[str, Tensor]:
        tokens, labels = tuning_peft.labelled(train, at)
        return {"input_ids": torch.from_numpy(tokens), "labels": torch.from_numpy(labels)}

    with tempfile.TemporaryDirectory() as directory:
        trainer = Trainer(
            model=model,
            args=settings(order, given.batching, directory),
            train_dataset=language_hf.Examples(len(train), example),
            data_collator=padded,
            callbacks=[language_hf.Clock(watched.training)],
        )
        trainer.train()
    parts = tuning_memory.parts(model, trainer.optimizer)
    watched.report(train, tuning_peft.moving(model), parts)


def settings(order: language_protocol.Order, batching: str, directory: str) -> TrainingArguments:
    """The Trainer's defaults, but for the learning rate."""
    return TrainingArguments(
        output_dir=directory,
        num_train_epochs=order.chunks,
        per_device_train_batch_size=ROWS,
        train_sampling_strategy="group_by_length" if batching == "grouped" else "sequential",
        learning_rate=LEARNING_RATE,
        bf16=order.bf16,
        use_cpu=True,
        seed=order.seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )


def padded(examples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """A batch as wide as its longest row, whose padding is not seen and not learned."""
    tokens, labels = ([one[name] for one in examples] for name in ("input_ids", "labels"))
    mask = [torch.ones_like(row) for row in tokens]
    return {
        "input_ids": pad_sequence(tokens, batch_first=True),
        "attention_mask": pad_sequence(mask, batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=tuning_peft.IGNORED),
    }


def packed(read: Conversations, context: int) -> Conversations:
    """Rows of the context; what is left over is dropped."""
    count = len(read.tokens_T) // context
    used = count * context
    return Conversations(
        read.tokens_T[:used], read.learned_T[:used], np.full(count, context, np.int64)
    )


if __name__ == "__main__":
    main()
