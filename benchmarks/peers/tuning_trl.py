"""TRL's SFTTrainer with PEFT, packing as it does by default.

That is best fit decreasing, and each batch one long row in which conversations do not see each
other. Its default is also to keep no activations, but to compute them again: `--checkpointing`.
"""

from __future__ import annotations

import dataclasses
import tempfile

import language_hf
import language_protocol
import torch
import tuning_memory
import tuning_peft
import tuning_protocol
import tuning_rows
from datasets import Dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer
from tuning_rows import Conversations
from tuning_sizes import LEARNING_RATE, ROWS, TUNED


def main() -> None:
    """Trains as ordered, and reports."""
    parser = tuning_protocol.parser(__doc__)
    parser.add_argument("--checkpointing", action="store_true")
    given = parser.parse_args()
    order = language_protocol.order_of(given)
    torch.manual_seed(order.seed)
    train, held_out = tuning_rows.read(order.cache, order.kind, tuning_protocol.rows(order))
    with tempfile.TemporaryDirectory() as directory:
        trainer = SFTTrainer(
            model=tuning_peft.base(order),
            args=settings(order, given.checkpointing, directory),
            train_dataset=dataset(train),
            processing_class=AutoTokenizer.from_pretrained(
                tuning_rows.folder(order.cache, order.kind)
            ),
            peft_config=tuning_peft.adapter(order.kind),
        )
        # How many rows packing makes is known from here on.
        order = dataclasses.replace(order, chunk_steps=len(trainer.get_train_dataloader()))
        model = trainer.model
        watched = tuning_protocol.Watched(order, tuning_peft.held_out_loss(model, held_out))
        trainer.add_callback(language_hf.Clock(watched.training))
        trainer.train()
    parts = tuning_memory.parts(model, trainer.optimizer)
    watched.report(train, tuning_peft.moving(model), parts)


def settings(order: language_protocol.Order, checkpointing: bool, directory: str) -> SFTConfig:
    """TRL's defaults with packing, but for the learning rate."""
    return SFTConfig(
        output_dir=directory,
        num_train_epochs=order.chunks,
        per_device_train_batch_size=ROWS,
        max_length=TUNED[order.kind].context,
        packing=True,
        gradient_checkpointing=checkpointing,
        learning_rate=LEARNING_RATE,
        bf16=order.bf16,
        use_cpu=True,
        seed=order.seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def dataset(read: Conversations) -> Dataset:
    """Tokens and labels, as TRL leaves them alone."""
    rows = [tuning_peft.labelled(read, at) for at in range(len(read))]
    return Dataset.from_dict(
        {
            "input_ids": [tokens.tolist() for tokens, _ in rows],
            "labels": [labels.tolist() for _, labels in rows],
        }
    )


if __name__ == "__main__":
    main()
