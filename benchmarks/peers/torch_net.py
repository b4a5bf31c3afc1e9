"""The benchmark's network and its evaluation in plain PyTorch, for the peers that need them."""

from __future__ import annotations

import mnist
import torch
from torch import Tensor, nn

Tensors = tuple[Tensor, Tensor]


def network() -> nn.Sequential:
    """Conv 32 3×3, ReLU, max pool 2×2, dense 128, ReLU, dense 10."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 13 * 13, 128),
        nn.ReLU(),
        nn.Linear(128, mnist.CLASSES),
    )


def train_tensors(data: mnist.Mnist) -> Tensors:
    """Pictures `(rows, 1, 28, 28)` float32 from 0 to 1, and labels."""
    pictures = torch.from_numpy(mnist.unit_floats(data.train_pictures))[:, None]
    return pictures, torch.from_numpy(data.train_labels)


def test_tensors(data: mnist.Mnist) -> Tensors:
    """The same of the test split."""
    pictures = torch.from_numpy(mnist.unit_floats(data.test_pictures))[:, None]
    return pictures, torch.from_numpy(data.test_labels)


@torch.no_grad()
def accuracy(model: nn.Module, test: Tensors) -> float:
    """The share of test pictures that `model` gets right."""
    pictures, labels = test
    guessed = torch.cat([model(part).argmax(1) for part in pictures.split(1000)])
    return float((guessed == labels).double().mean())
