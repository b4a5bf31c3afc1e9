"""The tuned bare loop: what one can write by hand for this network and this machine.

No peer, but a yardstick: freed memory is kept, batches are gathered from bytes in one read,
convolutions run channels-last, the flatten follows the memory's order, the ReLU stands behind
the pool (the same function), Adam is fused.

Dimension key:
    N  rows    B  batch    C  channels    H  height    W  width
"""

from __future__ import annotations

import ctypes
import platform

import mnist
import protocol
import torch
import torch_net
from torch import Tensor, nn
from torch.nn import functional as F

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


class Network(nn.Module):
    """`torch_net.network`, with its dense weight's columns in channels-last order."""

    def __init__(self) -> None:
        super().__init__()
        plain = torch_net.network().to(memory_format=torch.channels_last)
        self.conv, self.dense, self.head = plain[0], plain[4], plain[6]
        canonical = torch.arange(self.dense.in_features).view(32, 13, 13)
        with torch.no_grad():
            order = canonical.permute(1, 2, 0).flatten()
            self.dense.weight.copy_(self.dense.weight[:, order])

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits."""
        x_BCHW = F.relu(F.max_pool2d(self.conv(x_BCHW), 2))
        return self.head(F.relu(self.dense(x_BCHW.permute(0, 2, 3, 1).flatten(1))))


def keep_freed_memory() -> None:
    """Has glibc keep freed blocks; without it large temporaries page-fault in every step."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def main() -> None:
    """Trains as ordered, and reports."""
    keep_freed_memory()
    order = protocol.order()
    torch.manual_seed(order.seed)
    data = mnist.load(order.data)
    pictures, labels = torch.from_numpy(data.train_pictures), torch.from_numpy(data.train_labels)
    pictures_NHWC = pictures[..., None]
    test = torch_net.test_tensors(data)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.LEARNING_RATE, fused=True)
    training = protocol.Training()
    for _ in range(order.epochs):
        training.begin_epoch()
        for rows in torch.randperm(len(labels)).split(protocol.BATCH_ROWS):
            # With a single channel only the strides tell torch that this is channels-last.
            batch = pictures_NHWC[rows].permute(0, 3, 1, 2).float().div_(255)
            with torch.autocast("cpu", torch.bfloat16, enabled=order.precision == "bf16"):
                loss = F.cross_entropy(model(batch), labels[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        training.end_epoch(lambda: torch_net.accuracy(model, test))
    training.report(len(data.train_labels))


if __name__ == "__main__":
    main()
