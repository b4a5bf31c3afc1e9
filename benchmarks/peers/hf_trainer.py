"""The Hugging Face Trainer, with its defaults for a CPU."""

from __future__ import annotations

import tempfile
from typing import Any

import mnist
import protocol
import torch
import torch_net
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments


class _Rows(Dataset):
    def __init__(self, tensors: torch_net.Tensors) -> None:
        self._pictures, self._labels = tensors

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {"pictures": self._pictures[row], "labels": self._labels[row]}


class _Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch_net.network()

    def forward(self, pictures: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.layers(pictures)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class _Clock(TrainerCallback):
    def __init__(self, training: protocol.Training, test: torch_net.Tensors) -> None:
        self._training, self._test = training, test

    def on_epoch_begin(self, *given: Any, **named: Any) -> None:
        self._training.begin_epoch()

    def on_epoch_end(self, *given: Any, model: _Classifier, **named: Any) -> None:
        self._training.end_epoch(lambda: torch_net.accuracy(model.layers, self._test))


def main() -> None:
    """Trains as ordered, and reports."""
    order = protocol.order()
    torch.manual_seed(order.seed)
    data = mnist.load(order.data)
    training = protocol.Training()
    with tempfile.TemporaryDirectory() as directory:
        settings = TrainingArguments(
            output_dir=directory,
            num_train_epochs=order.epochs,
            per_device_train_batch_size=protocol.BATCH_ROWS,
            learning_rate=protocol.LEARNING_RATE,
            lr_scheduler_type="constant",
            max_grad_norm=0,
            bf16=order.precision == "bf16",
            use_cpu=True,
            seed=order.seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=_Classifier(),
            args=settings,
            train_dataset=_Rows(torch_net.train_tensors(data)),
            callbacks=[_Clock(training, torch_net.test_tensors(data))],
        )
        trainer.train()
    training.report(len(data.train_labels))


if __name__ == "__main__":
    main()
