"""Dropout: parts of the signal left out at random while training.

Dimension key, for the whole file:
    B  batch      T  time      D  width      N  documents
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from luthier.model.block import BlockSpec, Share
from luthier.model.dropped import Dropout
from luthier.model.stream import Stream, Streamed
from luthier.signal import Signal


class DropoutSpec(BlockSpec):
    """Single values set to zero while training, the others raised to keep the mean.

    Source:
        Srivastava et al. 2014, JMLR 15.
    """

    kind: Literal["dropout"] = "dropout"
    rate: Share
    """The probability of each value to be left out."""

    def build(self, signal: Signal) -> nn.Module:
        """A dropout; it reads any signal but tokens."""
        if signal.form == "tokens":
            raise self.unreadable("numbers", signal)
        return Dropout(self.rate)


class DropPathSpec(BlockSpec):
    """Whole samples set to zero while training: as the last layer inside a residual, it skips
    the residual for them. Of several texts in a row, each is a sample.

    Source:
        Huang et al. 2016, "Deep Networks with Stochastic Depth", 1603.09382; with the raised
        rest of Larsson et al. 2017, 1605.07648.
    """

    kind: Literal["drop_path"] = "drop_path"
    rate: Share
    """The probability of each sample to be left out."""

    def build(self, signal: Signal) -> nn.Module:
        """A `DropPath`; it reads any signal but tokens."""
        if signal.form == "tokens":
            raise self.unreadable("numbers", signal)
        return DropPath(self.rate)


class DropPath(Streamed):
    """Zeroes whole samples with probability `rate`, and divides the others by `1 - rate`.

    Shape:
        `(B, …)` to the same.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """`x`, where it is kept."""
        if not self.training or self.rate == 0:
            return x
        layout = None if stream is None else stream.layout
        if layout is None or x.ndim != 3:
            kept = self._drawn(x.shape[0], x)
            return x * kept.view(-1, *(1,) * (x.ndim - 1))
        kept_N = self._drawn(layout.documents, x)
        return x * kept_N[layout.documents_BT.clamp(min=0)][..., None]

    def _drawn(self, samples: int, like: Tensor) -> Tensor:
        kept = torch.empty(samples, dtype=like.dtype, device=like.device)
        return kept.bernoulli_(1 - self.rate) / (1 - self.rate)
