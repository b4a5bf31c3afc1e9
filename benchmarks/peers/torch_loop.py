"""A plain PyTorch loop: a DataLoader over a TensorDataset, or (`indexed`) one read a batch."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import mnist
import protocol
import torch
import torch_net
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def main(indexed: bool) -> None:
    """Trains as ordered, and reports."""
    order = protocol.order()
    torch.manual_seed(order.seed)
    data = mnist.load(order.data)
    train, test = torch_net.train_tensors(data), torch_net.test_tensors(data)
    batches = _indexed(train) if indexed else _loaded(train)
    model = torch_net.network()
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.LEARNING_RATE)
    training = protocol.Training()
    for _ in range(order.epochs):
        training.begin_epoch()
        for pictures, labels in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=order.precision == "bf16"):
                loss = F.cross_entropy(model(pictures), labels)
            loss.backward()
            optimizer.step()
        training.end_epoch(lambda: torch_net.accuracy(model, test))
    training.report(len(data.train_labels))


def _loaded(train: torch_net.Tensors) -> DataLoader:
    return DataLoader(TensorDataset(*train), batch_size=protocol.BATCH_ROWS, shuffle=True)


class _indexed:  # noqa: N801  (stands where a loader stands)
    def __init__(self, train: torch_net.Tensors) -> None:
        self._train = train

    def __iter__(self) -> Iterator[torch_net.Tensors]:
        pictures, labels = self._train
        for rows in torch.randperm(len(labels)).split(protocol.BATCH_ROWS):
            yield pictures[rows], labels[rows]


if __name__ == "__main__":
    indexed = "--indexed" in sys.argv
    if indexed:
        sys.argv.remove("--indexed")
    main(indexed)
