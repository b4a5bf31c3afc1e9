"""Pooling: many positions become one.

Dimension key, for the whole file:
    B  batch      C  channels      H, W  height and width      T  time      D  width
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import LARGEST, BlockSpec, Sizes
from luthier.model.layout import Layout
from luthier.model.stream import Stream, Streamed, whole_rows_only
from luthier.model.window import Window, for_each, times
from luthier.signal import Signal
from luthier.spec import Many

Reduce = Literal["average", "max", "first", "last"]
INSTEAD = "pool each of them whole, with {kind: global_pool}"
"""What to do where a window would reach from one text into the next."""

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
    """One value for each channel: an image or a sequence becomes a vector.

    Of texts of different lengths, each becomes a vector of its own positions.
    """

    kind: Literal["global_pool"] = "global_pool"
    reduce: Reduce = "average"
    """Which value stands for all positions: their average, the largest, or in a sequence that of
    the first (BERT's [CLS]) or of the last one."""

    def build(self, signal: Signal) -> nn.Module:
        """A `GlobalPool` for `signal`."""
        _refuse(self, signal)
        if signal.form == "image" and self.reduce in ("first", "last"):
            raise ShapeError(
                f"global_pool has reduce: {self.reduce}, but gets {signal}, whose positions have "
                "no order; use average or max"
            )
        return GlobalPool(self.reduce, over_time=signal.form == "sequence")


class MaxPool(Streamed):
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

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The pooled signal."""
        whole_rows_only("max_pool", x, stream, INSTEAD)
        window = self.window
        if self.over_time:
            pooled = F.max_pool1d(x.transpose(1, 2), window.size, window.stride, window.before)
            pooled = pooled.transpose(1, 2)
        else:
            pooled = F.max_pool2d(x, window.size, window.stride, window.before)
        y: Tensor = self.activation(pooled)
        return y


class AveragePool(Streamed):
    """The mean of each window.

    Shape:
        `(B, C, H, W)` to `(B, C, H', W')`, `(B, T, D)` to `(B, T', D)`.
    """

    def __init__(self, window: Window, *, over_time: bool) -> None:
        super().__init__()
        self.window = window
        self.over_time = over_time

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The pooled signal."""
        whole_rows_only("average_pool", x, stream, INSTEAD)
        pool: Callable[..., Tensor] = F.avg_pool1d if self.over_time else F.avg_pool2d
        x = x.transpose(1, 2) if self.over_time else x
        window = self.window
        y = pool(x, window.size, window.stride, window.before, count_include_pad=False)
        return y.transpose(1, 2) if self.over_time else y


class AdaptivePool(Streamed):
    """Means over a grid of `size` windows.

    Shape:
        `(B, C, H, W)` to `(B, C, *size)`, `(B, T, D)` to `(B, *size, D)`.
    """

    def __init__(self, size: tuple[int, ...], *, over_time: bool) -> None:
        super().__init__()
        self.size = size
        self.over_time = over_time

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The pooled signal."""
        whole_rows_only("adaptive_pool", x, stream, INSTEAD)
        if self.over_time:
            return F.adaptive_avg_pool1d(x.transpose(1, 2), self.size).transpose(1, 2)
        height, width = self.size
        return F.adaptive_avg_pool2d(x, (height, width))


class GlobalPool(Streamed):
    """One of all positions, or their mean.

    Shape:
        `(B, C, H, W)` to `(B, C)`, `(B, T, D)` to `(B, D)`; with a layout of N documents, to
        `(N, D)`.
    """

    def __init__(self, reduce: Reduce, *, over_time: bool) -> None:
        super().__init__()
        self.reduce = reduce
        self.dims = (1,) if over_time else (2, 3)

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The pooled signal."""
        if stream is not None and stream.layout is not None and x.ndim == 3:
            return self._of_documents(x, stream.layout)
        whole_rows_only("global_pool", x, stream, "leave it out")
        match self.reduce:
            case "average":
                return x.mean(self.dims)
            case "max":
                return x.amax(self.dims)
            case "first":
                return x[:, 0]
            case "last":
                return x[:, -1]

    def _of_documents(self, x_BTD: Tensor, layout: Layout) -> Tensor:
        match self.reduce:
            case "average":
                lengths_N = torch.tensor(layout.lengths, dtype=x_BTD.dtype, device=x_BTD.device)
                return layout.documents_apart(x_BTD).sum(1) / lengths_N[:, None]
            case "max":
                absent_NL = ~layout.present_NL
                apart_NLD = layout.documents_apart(x_BTD)
                return apart_NLD.masked_fill(absent_NL[..., None], -torch.inf).amax(1)
            case "first":
                return _picked(x_BTD, [s.row * layout.time + s.start for s in layout.spans])
            case "last":
                return _picked(x_BTD, [s.row * layout.time + s.stop - 1 for s in layout.spans])


def _picked(x_BTD: Tensor, places: Sequence[int]) -> Tensor:
    """The positions at `places` of the rows laid end to end."""
    return x_BTD.flatten(0, 1).index_select(0, torch.tensor(places, device=x_BTD.device))


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
