"""A model that was written, read again and compared, before it counts.

Dimension key, for the whole file:
    B  rows      T  positions      V  what the network gives
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.errors import RunError
from luthier.model.blueprint import Network
from luthier.model.stream import State
from luthier.signal import Signal

ROWS, POSITIONS, WRITTEN = 2, 24, 16
CLOSE = 1e-4
"""Of the largest output: rounding in another order gives a tenth of it, a wrong weight much more.
"""


@dataclass(frozen=True)
class Agreement:
    """How near two networks are.

    Attributes:
        largest: The largest difference of what they give.
        scale: The largest value that the first one gives.
        written: Tokens that both wrote, one after the other; none where they do not write.
    """

    largest: float
    scale: float
    written: int

    def sentence(self) -> str:
        """For people.

        Example:
            >>> Agreement(2e-6, 10.0, 16).sentence()
            'its outputs differ by 2e-06 at most (of 10), and 16 tokens that it writes are the same'
        """
        text = f"its outputs differ by {self.largest:.1g} at most (of {self.scale:.3g})"
        if self.written:
            text += f", and {self.written} tokens that it writes are the same"
        return text


@torch.no_grad()
def agreement(ours: Network, again: Network, *, writes: bool, name: str) -> Agreement:
    """Compares two networks on random inputs.

    Args:
        ours: What was written.
        again: What was read.
        writes: Whether they write texts: then they also write some, taking the likeliest token.
        name: What was written, for the message.

    Raises:
        RunError: If they are not the same.
    """
    modes = {network: network.training for network in (ours, again)}
    try:
        ours.eval()
        again.eval()
        return _compared(ours, again, writes=writes, name=name)
    finally:
        for network, mode in modes.items():
            network.train(mode)


def _compared(ours: Network, again: Network, *, writes: bool, name: str) -> Agreement:
    device = next(ours.parameters()).device
    inputs = _inputs(ours, ours.reads).to(device)
    again.to(device)
    read: tuple[Tensor | None, ...] = (inputs,)
    if ours.writes is not None:
        read = (_inputs(ours, ours.writes).to(device), None, inputs)
    y_BTV, z_BTV = ours(*read).double(), again(*read).double()
    if y_BTV.shape != z_BTV.shape:
        raise RunError(
            f"{name}: gives {tuple(z_BTV.shape)} when it is read again, but the network gives "
            f"{tuple(y_BTV.shape)}; nothing is kept"
        )
    scale = float(y_BTV.abs().max())
    largest = float((y_BTV - z_BTV).abs().max())
    if not largest <= CLOSE * max(scale, 1.0):
        raise RunError(
            f"{name}: gives other outputs when it is read again, by {largest:.3g} of {scale:.3g}; "
            "nothing is kept"
        )
    written = _written(ours, again, inputs, name) if writes else 0
    return Agreement(largest, scale, written)


def _inputs(network: Network, reads: Signal) -> Tensor:
    """Some inputs, always the same for networks that read the same."""
    random = torch.Generator().manual_seed(0)
    if reads.form != "tokens":
        dtype = next(network.parameters()).dtype
        return torch.randn((ROWS, *reads.shape), generator=random, dtype=dtype)
    time = min(POSITIONS, reads.shape[0])
    return torch.randint(0, reads.vocab, (ROWS, time), generator=random)


def _written(ours: Network, again: Network, tokens_BT: Tensor, name: str) -> int:
    """How many tokens both write behind half of the first row, each with what it remembers.

    Where two tokens are equally likely but for rounding, either may be written.
    """
    context = ours.reads.shape[0]
    read = tokens_BT[:1, : max(1, tokens_BT.shape[1] // 2)]
    mine, theirs = State(capacity=context), State(capacity=context)
    count = min(WRITTEN, context - read.shape[1])
    for _ in range(count):
        (y_BTV, mine), (z_BTV, theirs) = ours.decode(read, mine), again.decode(read, theirs)
        read = y_BTV[:, -1:].argmax(-1)
        near = CLOSE * max(float(y_BTV[:, -1].abs().max()), 1.0)
        if float(z_BTV[0, -1].max() - z_BTV[0, -1, int(read)]) > near:
            raise RunError(f"{name}: writes another text when it is read again; nothing is kept")
    return count
