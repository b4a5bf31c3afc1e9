"""ResNet-20 on CIFAR-10 as one writes it by hand: the twin of `recipes/cifar_resnet20.yaml`.

Dimension key:
    B  batch    C  channels    H  height    W  width
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path

import numpy as np
import protocol
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

BATCH_ROWS = 128
PADDING = 4


class Block(nn.Module):
    """Two convolutions and a shortcut without weights (option A of the paper)."""

    def __init__(self, reads: int, gives: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(reads, gives, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(gives)
        self.conv2 = nn.Conv2d(gives, gives, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(gives)
        self.stride, self.extra = stride, (gives - reads) // 2

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The block."""
        y_BCHW = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x_BCHW)))))
        if self.extra:
            x_BCHW = x_BCHW[:, :, :: self.stride, :: self.stride]
            x_BCHW = F.pad(x_BCHW, (0, 0, 0, 0, self.extra, self.extra))
        return F.relu(x_BCHW + y_BCHW)


def resnet20() -> nn.Sequential:
    """The network."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    reads = 16
    for gives in (16, 32, 64):
        for block in range(3):
            layers.append(Block(reads, gives, 2 if block == 0 and gives > 16 else 1))
            reads = gives
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def load(archive: Path) -> tuple[Tensor, Tensor]:
    """`(rows, 3, 32, 32)` bytes and `(rows,)` labels of an archive of class folders."""
    found = []
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith((".jpg", ".png")):
                file = tar.extractfile(member)
                assert file is not None
                pixels = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
                found.append((member.name.split("/")[-2], pixels))
    names = sorted({name for name, _ in found})
    labels = torch.tensor([names.index(name) for name, _ in found])
    pictures = torch.from_numpy(np.stack([pixels for _, pixels in found]))
    return pictures.permute(0, 3, 1, 2), labels


def augmented(x_BCHW: Tensor) -> Tensor:
    """Padded, cut at a random place, and flipped by chance."""
    rows, _, height, width = x_BCHW.shape
    padded = F.pad(x_BCHW, (PADDING,) * 4)
    tops, lefts = torch.randint(0, 2 * PADDING + 1, (2, rows)).tolist()
    cut = torch.stack(
        [
            padded[row, :, top : top + height, left : left + width]
            for row, (top, left) in enumerate(zip(tops, lefts, strict=True))
        ]
    )
    flipped = torch.rand(rows) < 0.5
    cut[flipped] = cut[flipped].flip(3)
    return cut


def accuracy(model: nn.Module, x: Tensor, y: Tensor, bf16: bool) -> float:
    """The share of rows that are right."""
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        right = sum(
            int((model(part).argmax(1) == labels).sum())
            for part, labels in zip(x.split(500), y.split(500), strict=True)
        )
    model.train()
    return right / len(y)


def main() -> None:
    """Trains, and prints one JSON line."""
    given = protocol.order()
    bf16 = given.precision == "bf16"
    torch.manual_seed(given.seed)
    pictures, labels = load(given.data / "cifar10_train.tar.gz")
    test, test_labels = load(given.data / "cifar10_test.tar.gz")
    scaled = pictures.float() / 255
    mean, std = scaled.mean((0, 2, 3), keepdim=True), scaled.std((0, 2, 3), keepdim=True)
    model = resnet20().to(memory_format=torch.channels_last)
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [
        {"params": decayed, "weight_decay": 5e-4},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.2, momentum=0.9, nesterov=True)
    steps = given.epochs * -(-len(labels) // BATCH_ROWS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.2, total_steps=steps, cycle_momentum=False
    )
    seconds = 0.0
    for _ in range(given.epochs):
        began = time.perf_counter()
        for rows in torch.randperm(len(labels)).split(BATCH_ROWS):
            batch = (augmented(pictures[rows]).float() / 255 - mean) / std
            batch = batch.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = F.cross_entropy(model(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        seconds += time.perf_counter() - began
    test = (test.float() / 255 - mean) / std
    rate = given.epochs * len(labels) / seconds
    found = accuracy(model, test, test_labels, bf16)
    print(json.dumps({"accuracy": found, "images_per_second": rate}))


if __name__ == "__main__":
    main()
