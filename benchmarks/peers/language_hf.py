"""The Hugging Face Trainer on a CPU, as its course trains a causal model from scratch.

That is AdamW with rate 5e-4 and decay 0.1, a cosine schedule with warm-up ("Training a causal
language model from scratch", Hugging Face course, chapter 7); everything else is its default.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import language_protocol
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

Example = dict[str, Tensor]
Collate = Callable[[list[Any]], dict[str, Tensor]]


class Examples(Dataset[Any]):
    """As many examples as are asked for, made when they are read."""

    def __init__(self, count: int, example: Callable[[int], Any]) -> None:
        self._count, self._example = count, example

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: int) -> Any:
        return self._example(at)


class Clock(TrainerCallback):
    """Tells a training when it begins, and of each step."""

    def __init__(self, training: language_protocol.Training) -> None:
        self._training = training

    def on_train_begin(self, *given: Any, **named: Any) -> None:
        self._training.begin()

    def on_step_end(self, *given: Any, **named: Any) -> None:
        self._training.step()


def train(
    model: nn.Module,
    examples: Examples,
    training: language_protocol.Training,
    *,
    rows: int,
    collate: Collate | None = None,
    sampling: str = "sequential",
) -> None:
    """Trains `model` for the order's steps.

    Args:
        model: A `transformers` model, which gives a loss.
        examples: Read in their order unless `sampling` says otherwise; again when they are spent.
        training: Its clock.
        rows: Of a batch.
        collate: Makes a batch; None for the Trainer's own.
        sampling: `sequential` or `group_by_length`.
    """
    order = training.order
    with tempfile.TemporaryDirectory() as directory:
        settings = TrainingArguments(
            output_dir=directory,
            max_steps=order.steps,
            per_device_train_batch_size=rows,
            train_sampling_strategy=sampling,
            learning_rate=5e-4,
            weight_decay=0.1,
            lr_scheduler_type="cosine",
            warmup_steps=order.warmup_steps,
            bf16=order.bf16,
            torch_compile=order.compile,
            use_cpu=True,
            seed=order.seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        trainer = Trainer(
            model=model,
            args=settings,
            train_dataset=examples,
            data_collator=collate,
            callbacks=[Clock(training)],
        )
        trainer.train()


def evaluated(model: nn.Module, loss: Callable[[], float]) -> Callable[[], float]:
    """`loss` while `model` is in evaluation mode, in float32 and not compiled."""

    def measure() -> float:
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            found = loss()
        model.train()
        return found

    return measure
