"""Convolution: one small filter, applied everywhere.

Dimension key, for the whole file:
    B  batch      C  channels      H, W  height and width      T  time      D  width
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import LARGEST, BlockSpec, Size, Sizes
from luthier.model.blocks.activation import ActivationName, activation
from luthier.model.blocks.norm import NormName, bias_is_used, norm
from luthier.model.window import Padding, Window, for_each, halves
from luthier.signal import Signal
from luthier.spec import Auto, Many

Cells = Annotated[int, Field(ge=0, le=LARGEST)]


class ConvSpec(BlockSpec):
    """A convolution: over height and width of an image, over the time of a sequence.

    With `groups: depthwise`, each channel has filters of its own, and none sees another channel.
    """

    kind: Literal["conv"] = "conv"
    channels: Size
    """Filters, which is the number of channels that come out; of a sequence, its new width."""
    kernel: Sizes
    """The size of a filter; one number, or `[height, width]`."""
    stride: Sizes = 1
    """Positions from one application of the filter to the next."""
    padding: Cells | Many[Cells] | Padding = "valid"
    """Zeros around the input: a number for each side; valid for none; same for as many as make
    the output as large as the input, divided by the stride and rounded up."""
    dilation: Sizes = 1
    """Positions from one cell of the filter to the next."""
    groups: Size | Literal["depthwise"] = 1
    """Parts that channels are divided into, each with filters of its own. Must divide the
    channels that come in and those that go out; depthwise is a part for each channel."""
    bias: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether each filter adds a learned number; auto leaves it out before a norm that takes it
    away again."""
    norm: NormName = "none"
    """The norm behind the convolution."""
    activation: ActivationName = "none"
    """The activation behind the norm."""

    def build(self, signal: Signal) -> Conv:
        """A `Conv` for `signal`."""
        if signal.form not in ("image", "sequence"):
            mend = "put it before what flattens"
            raise self.unreadable("an image or a sequence", signal, mend)
        return Conv(self, signal)

    def window(self, signal: Signal) -> Window:
        """The filter as it slides over `signal`.

        Raises:
            ShapeError: If the numbers do not suit the signal, or it does not fit into it.
        """
        size = for_each(self.kernel, self.kind, "kernel", signal)
        dilation = for_each(self.dilation, self.kind, "dilation", signal)
        if self.padding == "same":
            totals = (d * (k - 1) for k, d in zip(size, dilation, strict=True))
            before, after = halves(tuple(totals))
        else:
            cells = 0 if self.padding == "valid" else self.padding
            before = after = for_each(cells, self.kind, "padding", signal)
        stride = for_each(self.stride, self.kind, "stride", signal)
        window = Window(size, stride, dilation, before, after)
        window.check(self.kind, "kernel", signal)
        return window


class Conv(nn.Module):
    """`activation(norm(convolution(x)))`.

    Args:
        spec: The filters, and what follows them.
        signal: An image `(C, H, W)` or a sequence `(T, D)`.

    Shape:
        `(B, C, H, W)` to `(B, channels, H', W')`, `(B, T, D)` to `(B, T', channels)`.

    Cost:
        Parameters: `C * channels * kernel area / groups`, plus `channels` with a bias.
        FLOPs of one forward pass: `2 * parameters` (without the bias) a position that comes out.

    Example:
        >>> import torch
        >>> conv = ConvSpec(channels=8, kernel=3, stride=2, padding="same").build(
        ...     Signal.of((3, 32, 32))
        ... )
        >>> conv(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 8, 16, 16])
    """

    def __init__(self, spec: ConvSpec, signal: Signal) -> None:
        super().__init__()
        window = spec.window(signal)
        even = window.before == window.after
        self.over_time = signal.form == "sequence"
        self.margins = () if even else window.margins
        self.conv = (nn.Conv1d if self.over_time else nn.Conv2d)(
            signal.width,
            spec.channels,
            window.size,  # type: ignore[arg-type]
            stride=window.stride,  # type: ignore[arg-type]
            padding=window.before if even else 0,  # type: ignore[arg-type]
            dilation=window.dilation,  # type: ignore[arg-type]
            groups=group_count(spec.kind, spec.groups, spec.channels, signal),
            bias=bias_is_used(spec.norm) if spec.bias == "auto" else spec.bias,
        )
        self.norm = norm(spec.norm, with_channels(signal, spec.channels))
        self.activation = activation(spec.activation)

    def forward(self, x: Tensor) -> Tensor:
        """The filtered signal, normalised and activated."""
        x = x.transpose(1, 2) if self.over_time else x
        if self.margins:
            x = F.pad(x, self.margins)
        x = self.conv(x)
        x = x.transpose(1, 2) if self.over_time else x
        y: Tensor = self.activation(self.norm(x))
        return y


def group_count(
    kind: str, groups: int | Literal["depthwise"], channels: int, signal: Signal
) -> int:
    """How many groups of channels there are.

    Raises:
        ShapeError: If they do not divide the channels that come in and those that go out.
    """
    count = signal.width if groups == "depthwise" else groups
    for what, number in ((f"of {signal}", signal.width), ("that it gives", channels)):
        if number % count:
            raise ShapeError(
                f"{kind} has {count} groups{' (depthwise)' if groups == 'depthwise' else ''}, "
                f"which do not divide the {number} channels {what}; wanted a divisor of both "
                f"{signal.width} and {channels}"
            )
    return count


def with_channels(signal: Signal, channels: int) -> Signal:
    """`signal` with another number of features. Its positions are those of the input."""
    if signal.form == "image":
        return Signal("image", (channels, *signal.shape[1:]))
    return Signal(signal.form, (*signal.shape[:-1], channels))
