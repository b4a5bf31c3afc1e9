"""Lightning's Trainer, with logger, checkpoints and progress bar off."""

from __future__ import annotations

import logging
import warnings

import lightning
import mnist
import protocol
import torch
import torch_net
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


class _Classifier(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch_net.network()

    def training_step(self, batch: tuple[Tensor, Tensor], _position: int) -> Tensor:
        pictures, labels = batch
        return F.cross_entropy(self.layers(pictures), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=protocol.LEARNING_RATE)


class _Clock(lightning.Callback):
    def __init__(self, training: protocol.Training, test: torch_net.Tensors) -> None:
        self._training, self._test = training, test

    def on_train_epoch_start(self, *given: object) -> None:
        self._training.begin_epoch()

    def on_train_epoch_end(self, _trainer: object, classifier: _Classifier) -> None:
        self._training.end_epoch(lambda: torch_net.accuracy(classifier.layers, self._test))


def main() -> None:
    """Trains as ordered, and reports."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    order = protocol.order()
    lightning.seed_everything(order.seed, verbose=False)
    data = mnist.load(order.data)
    training = protocol.Training()
    trainer = lightning.Trainer(
        max_epochs=order.epochs,
        accelerator="cpu",
        precision=PRECISIONS[order.precision],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[_Clock(training, torch_net.test_tensors(data))],
    )
    rows = TensorDataset(*torch_net.train_tensors(data))
    trainer.fit(_Classifier(), DataLoader(rows, batch_size=protocol.BATCH_ROWS, shuffle=True))
    training.report(len(data.train_labels))


if __name__ == "__main__":
    main()
