"""Subsample: convolutions over time and the features, as of a picture; fewer frames come out.

Dimension key, for the whole file:
    B  rows      T  frames      M  values of a frame      D  width
    N  sounds      L  frames of the longest      C  channels      H  what is left of M
    P  frames of all sounds
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Share, Size
from luthier.model.blocks.activation import ActivationName, activation
from luthier.model.dropped import Dropout
from luthier.model.layout import Layout
from luthier.model.stream import Stream, Streamed
from luthier.signal import Signal
from luthier.spec import Many

Strides = Annotated[int, Field(ge=1, le=16)]
OddSize = Annotated[int, Field(ge=1, le=31)]


class SubsampleSpec(BlockSpec):
    """Convolutions over time and frequency, each of which may leave out frames and bins.

    The front of most networks for speech: two that halve both make a quarter of the frames, and a
    hundredth of the work of an attention. Each has zeros around a sound; behind the last one, what
    stands at a frame becomes a vector.
    """

    kind: Literal["subsample"] = "subsample"
    channels: Many[Size]
    """Filters of each convolution, such as `[32, 64]` of two."""
    kernel: OddSize = 3
    """The height and the width of a filter; odd, so that it has a middle."""
    strides: Many[Strides] = (2,)
    """Frames from one application of the filters to the next, of each convolution; one number is
    for all of them."""
    frequency_strides: Many[Strides] | None = None
    """The same over the bins; none means as over time."""
    norm: Literal["none", "batch"] = "batch"
    """The norm behind each convolution."""
    activation: ActivationName = "relu"
    """The activation behind the norm."""
    dropout: Share = 0.0
    """The share of values left out behind each activation while training."""
    width: Size | None = None
    """The width that a dense layer brings the vectors to; none leaves them as they are, the last
    channels times the bins that are left."""

    @field_validator("channels")
    @classmethod
    def _some(cls, channels: tuple[int, ...]) -> tuple[int, ...]:
        if not channels:
            raise ValueError("got none of them; wanted one or more, such as [32, 64]")
        return channels

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel: got {self.kernel}; wanted an odd number")
        for name, given in (("strides", self.strides), ("frequency_strides", self.bin_strides)):
            if len(given) not in (1, len(self.channels)):
                raise ValueError(
                    f"{name}: got {len(given)} of them; wanted one, or one for each of the "
                    f"{len(self.channels)} convolutions"
                )
        return self

    @property
    def bin_strides(self) -> tuple[int, ...]:
        """The strides over the bins."""
        return self.strides if self.frequency_strides is None else self.frequency_strides

    def each(self) -> list[tuple[int, int, int]]:
        """Of each convolution the channels, the stride over time and over the bins."""
        count = len(self.channels)
        strides, bins = (
            given * count if len(given) == 1 else given
            for given in (self.strides, self.bin_strides)
        )
        return list(zip(self.channels, strides, bins, strict=True))

    def build(self, signal: Signal) -> Subsample:
        """A `Subsample` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return Subsample(self, signal)


class Subsample(Streamed):
    """`dense(activation(norm(conv(x))))`, with the convolution, norm and activation repeated.

    A sound of t frames has `ceil(t / stride)` behind a convolution. In sounds of different
    lengths, no filter reaches from one into another, and padding counts in no norm. What comes
    out lies in one row without padding; the stream tells where.

    Args:
        spec: The convolutions.
        signal: A sequence `(T, M)`.

    Shape:
        `(B, T, M)` to `(B, T', D)`; with a layout of N sounds to `(1, P, D)`.

    Cost:
        Parameters of a convolution: `kernel² * C * C' + C'`, 2 more a channel with a norm; of the
        dense layer `C * H * D + D`.

    Source:
        Dong et al. 2018, "Speech-Transformer", section 3.2; Gulati et al. 2020, 2005.08100.

    Example:
        >>> subsample = SubsampleSpec(channels=[8, 8], width=16).build(Signal.of((100, 40)))
        >>> subsample(torch.zeros(2, 100, 40)).shape
        torch.Size([2, 25, 16])
    """

    moves = True

    def __init__(self, spec: SubsampleSpec, signal: Signal) -> None:
        super().__init__()
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        channels, bins = 1, signal.width
        self.strides: list[int] = []
        for filters, stride, bin_stride in spec.each():
            self.convs.append(
                nn.Conv2d(
                    channels,
                    filters,
                    spec.kernel,
                    (stride, bin_stride),
                    spec.kernel // 2,
                    bias=spec.norm == "none",
                )
            )
            has_norm = spec.norm == "batch"
            self.norms.append(nn.BatchNorm1d(filters) if has_norm else nn.Identity())
            channels, bins = filters, -(-bins // bin_stride)
            self.strides.append(stride)
        self.activation = activation(spec.activation)
        self.dropout = Dropout(spec.dropout)
        flat = channels * bins
        self.linear = nn.Identity() if spec.width is None else nn.Linear(flat, spec.width)

    def forward(self, x_BTM: Tensor, stream: Stream | None = None) -> Tensor:
        """The vectors of the frames that are left.

        Raises:
            ShapeError: If it is to go on from a state, or the positions must stay.
        """
        if stream is not None and stream.state is not None:
            raise ShapeError("subsample reads later frames, so it cannot read step by step")
        layout = None if stream is None else stream.layout
        if layout is None or layout.full:
            y_NLD = self._rows(x_BTM, None)
            if stream is not None and layout is not None:
                stream.layout = Layout.padded([y_NLD.shape[1]] * len(y_NLD)).to(layout.device)
            return y_NLD
        assert stream is not None
        y_PD = self._rows(layout.documents_apart(x_BTM), layout.lengths)
        stream.layout = Layout.packed(self.lengths_behind(layout.lengths)).to(layout.device)
        stream.shared.clear()  # the angles of positions that are no longer there
        return y_PD[None]

    def lengths_behind(self, lengths: tuple[int, ...]) -> tuple[int, ...]:
        """Frames of each sound behind all convolutions."""
        for stride in self.strides:
            lengths = divided(lengths, stride)
        return lengths

    def _rows(self, x_NLM: Tensor, lengths: Sequence[int] | None) -> Tensor:
        """`(N, L', D)`; with lengths the frames of all sounds, `(P, D)`.

        Args:
            x_NLM: One sound a row, with zeros behind it.
            lengths: Frames of each; none where all rows are full.
        """
        y_NCLH = x_NLM[:, None]
        present_NL: Tensor | None = None
        for conv, norm, stride in zip(self.convs, self.norms, self.strides, strict=True):
            y_NCLH = conv(y_NCLH)
            if lengths is not None:
                lengths = divided(lengths, stride)
                ends_N = torch.tensor(lengths, device=x_NLM.device)
                places_L = torch.arange(y_NCLH.shape[2], device=x_NLM.device)
                present_NL = places_L[None] < ends_N[:, None]
            y_NCLH = self._normed(norm, y_NCLH, present_NL)
        y_NLCH = y_NCLH.transpose(1, 2)
        flat = y_NLCH.flatten(2) if present_NL is None else y_NLCH[present_NL].flatten(1)
        finished: Tensor = self.linear(flat)
        return finished

    def _normed(self, norm: nn.Module, y_NCLH: Tensor, present_NL: Tensor | None) -> Tensor:
        """Behind the norm, the activation and the dropout; zeros in the padding."""
        if present_NL is None:
            y_BCX = norm(y_NCLH.flatten(2)).view_as(y_NCLH)
            whole: Tensor = self.dropout(self.activation(y_BCX))
            return whole
        y_NLCH = y_NCLH.transpose(1, 2)
        y_PCH = self.dropout(self.activation(norm(y_NLCH[present_NL])))
        filled: Tensor = y_PCH.new_zeros(y_NLCH.shape)
        filled[present_NL] = y_PCH
        return filled.transpose(1, 2)


def divided(lengths: Sequence[int], stride: int) -> tuple[int, ...]:
    """Frames of each sound behind a convolution of that stride.

    Example:
        >>> divided((5, 4, 1), 2)
        (3, 2, 1)
    """
    return tuple(-(-length // stride) for length in lengths)
