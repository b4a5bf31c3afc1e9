"""Pooling: many positions become one.

Dimension key, for the whole file:
    B  batch      C  channels      H, W  height and width      T  time      D  width
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import LARGEST, BlockSpec, Sizes
from luthier.model.window import Window, for_each, times
from luthier.signal import Signal
from luthier.spec import Many

Margin = Annotated[int, Field(ge=0, le=LARGEST)]


class MaxPoolSpec(BlockSpec):
    """The largest value in each window."""

    kind: Literal["max_pool"] = "max_pool"
    size: Sizes
    """The size of the window; one number, or `[height, width]`."""
    stride: Sizes | None = None
    """Positions from one window to the next; none means the window's size."""
    padding: Margin | Many[Margin] = 0
    """Cells around the input that never are the largest; at most half of the size."""

    def build(self, signal: Signal) -> MaxPool:
        """A `MaxPool` for `signal`."""
        return MaxPool(_window(self, signal), over_time=signal.form == "sequence")


class AveragePoolSpec(BlockSpec):
    """The mean of each window."""

    kind: Literal["average_pool"] = "average_pool"
    size: Sizes
    """The size of the window; one number, or `[height, width]`."""
    stride: Sizes | None = None
    """Positions from one window to the next; none means the window's size."""
    padding: Margin | Many[Margin] = 0
    """Cells around the input, which do not count in the mean; at most half of the size."""

    def build(self, signal: Signal) -> AveragePool:
        """An `AveragePool` for `signal`."""
        return AveragePool(_window(self, signal), over_time=signal.form == "sequence")


class AdaptivePoolSpec(BlockSpec):
    """Means over a grid of windows, as many as asked for, whatever the size of the input."""

    kind: Literal["adaptive_pool"] = "adaptive_pool"
    size: Sizes
    """The size that comes out; one number, or `[height, width]`."""

    def build(self, signal: Signal) -> nn.Module:
        """An `AdaptivePool` for `signal`."""
        _refuse(self, signal)
        size = for_each(self.size, self.kind, "size", signal)
        return AdaptivePool(size, over_time=signal.form == "sequence")


class GlobalPoolSpec(BlockSpec):
    """One value for each channel: an image or a sequence becomes a vector."""

    kind: Literal["global_pool"] = "global_pool"
    reduce: Literal["average", "max"] = "average"
    """Which value stands for all positions."""

    def build(self, signal: Signal) -> nn.Module:
        """A `GlobalPool` for `signal`."""
        _refuse(self, signal)
        dims = (1,) if signal.form == "sequence" else (2, 3)
        return GlobalPool(dims, largest=self.reduce == "max")


class MaxPool(nn.Module):
    """The largest value in each window.

    Shape:
        `(B, C, H, W)` to `(B, C, H', W')`, `(B, T, D)` to `(B, T', D)`.

    Attributes:
        activation: An identity, unless a placement moves the activation before the pool here,
            where fewer values go through it.
    """

    def __init__(self, window: Window, *, over_time: bool) -> None:
        super().__init__()
        self.window = window
        self.over_time = over_time
        self.activation: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The pooled signal."""
        window = self.window
        if self.over_time:
            pooled = F.max_pool1d(x.transpose(1, 2), window.size, window.stride, window.before)
            pooled = pooled.transpose(1, 2)
        else:
            pooled = F.max_pool2d(x, window.size, window.stride, window.before)
        y: Tensor = self.activation(pooled)
        return y


class AveragePool(nn.Module):
    """The mean of each window.

    Shape:
        `(B, C, H, W)` to `(B, C, H', W')`, `(B, T, D)` to `(B, T', D)`.
    """

    def __init__(self, window: Window, *, over_time: bool) -> None:
        super().__init__()
        self.window = window
        self.over_time = over_time

    def forward(self, x: Tensor) -> Tensor:
        """The pooled signal."""
        pool: Callable[..., Tensor] = F.avg_pool1d if self.over_time else F.avg_pool2d
        x = x.transpose(1, 2) if self.over_time else x
        window = self.window
        y = pool(x, window.size, window.stride, window.before, count_include_pad=False)
        return y.transpose(1, 2) if self.over_time else y


class AdaptivePool(nn.Module):
    """Means over a grid of `size` windows.

    Shape:
        `(B, C, H, W)` to `(B, C, *size)`, `(B, T, D)` to `(B, *size, D)`.
    """

    def __init__(self, size: tuple[int, ...], *, over_time: bool) -> None:
        super().__init__()
        self.size = size
        self.over_time = over_time

    def forward(self, x: Tensor) -> Tensor:
        """The pooled signal."""
        if self.over_time:
            return F.adaptive_avg_pool1d(x.transpose(1, 2), self.size).transpose(1, 2)
        height, width = self.size
        return F.adaptive_avg_pool2d(x, (height, width))


class GlobalPool(nn.Module):
    """The mean or the largest of all positions.

    Shape:
        `(B, C, H, W)` to `(B, C)`, `(B, T, D)` to `(B, D)`.
    """

    def __init__(self, dims: tuple[int, ...], *, largest: bool) -> None:
        super().__init__()
        self.dims = dims
        self.largest = largest

    def forward(self, x: Tensor) -> Tensor:
        """The pooled signal."""
        return x.amax(self.dims) if self.largest else x.mean(self.dims)


def _refuse(spec: BlockSpec, signal: Signal) -> None:
    """What no pool reads."""
    if signal.form not in ("image", "sequence"):
        raise spec.unreadable("an image or a sequence", signal)


def _window(spec: MaxPoolSpec | AveragePoolSpec, signal: Signal) -> Window:
    _refuse(spec, signal)
    size = for_each(spec.size, spec.kind, "size", signal)
    stride = for_each(spec.stride or spec.size, spec.kind, "stride", signal)
    padding = for_each(spec.padding, spec.kind, "padding", signal)
    if any(2 * margin > cells for margin, cells in zip(padding, size, strict=True)):
        raise ShapeError(
            f"{spec.kind} has a padding of {times(padding)} for windows of {times(size)}; wanted "
            "at most half of the size"
        )
    window = Window(size, stride, (1,) * len(size), padding, padding)
    window.check(spec.kind, "size", signal)
    return window
