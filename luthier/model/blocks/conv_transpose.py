"""Transposed convolution: each position paints a small patch of a larger signal.

Dimension key, for the whole file:
    B  batch      C  channels      H, W  height and width      T  time      D  width
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Size, Sizes
from luthier.model.blocks.activation import ActivationName, activation
from luthier.model.blocks.conv import Cells, group_count, with_channels
from luthier.model.blocks.norm import NormName, bias_is_used, norm
from luthier.model.stream import Stream, Streamed, through, whole_rows_only
from luthier.model.window import Padding, for_each, positions, times
from luthier.signal import Signal
from luthier.spec import Auto, Many


class ConvTransposeSpec(BlockSpec):
    """A transposed convolution, which makes a signal larger by its stride.

    Of `n` positions it makes `(n - 1) * stride + dilation * (kernel - 1) + 1`, less the padding
    on both sides, and `extra` more.
    """

    kind: Literal["conv_transpose"] = "conv_transpose"
    channels: Size
    """The number of channels that come out; of a sequence, its new width."""
    kernel: Sizes
    """The size of the patch that a position paints; one number, or `[height, width]`."""
    stride: Sizes = 1
    """Positions from one patch to the next."""
    padding: Cells | Many[Cells] | Padding = "valid"
    """Positions cut away from each side; valid for none; same for as many as make the output as
    large as the input, multiplied by the stride."""
    extra: Cells | Many[Cells] = 0
    """Positions added to the end; fewer than the stride or the dilation. Torch calls it
    output_padding."""
    dilation: Sizes = 1
    """Positions from one cell of the patch to the next."""
    groups: Size | Literal["depthwise"] = 1
    """Parts that channels are divided into, each with patches of its own."""
    bias: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether each channel adds a learned number; auto leaves it out before a norm that takes it
    away again."""
    norm: NormName = "none"
    """The norm behind the convolution."""
    activation: ActivationName = "none"
    """The activation behind the norm."""

    @model_validator(mode="after")
    def _extra_is_used(self) -> Self:
        if self.padding == "same" and self.extra:
            raise ValueError("extra is chosen by padding: same; leave out one of the two")
        return self

    def build(self, signal: Signal) -> ConvTranspose:
        """A `ConvTranspose` for `signal`."""
        if signal.form not in ("image", "sequence"):
            mend = "put it before what flattens"
            raise self.unreadable("an image or a sequence", signal, mend)
        return ConvTranspose(self, signal)


class ConvTranspose(Streamed):
    """`activation(norm(transposed convolution(x)))`.

    Args:
        spec: The patches, and what follows them.
        signal: An image `(C, H, W)` or a sequence `(T, D)`.

    Shape:
        `(B, C, H, W)` to `(B, channels, H', W')`, `(B, T, D)` to `(B, T', channels)`.

    Cost:
        Parameters: `C * channels * kernel area / groups`, plus `channels` with a bias.
        FLOPs of one forward pass: `2 * parameters` (without the bias) a position that comes in.
    """

    def __init__(self, spec: ConvTransposeSpec, signal: Signal) -> None:
        super().__init__()
        self.over_time = signal.form == "sequence"
        size = for_each(spec.kernel, spec.kind, "kernel", signal)
        stride = for_each(spec.stride, spec.kind, "stride", signal)
        dilation = for_each(spec.dilation, spec.kind, "dilation", signal)
        reach = tuple(d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True))
        padding, extra = _margins(spec, signal, reach, stride)
        for e, s, d in zip(extra, stride, dilation, strict=True):
            if e and e >= max(s, d):
                raise ShapeError(
                    f"conv_transpose has an extra of {e}; wanted fewer than its stride ({s}) or "
                    f"its dilation ({d})"
                )
        self.conv = (nn.ConvTranspose1d if self.over_time else nn.ConvTranspose2d)(
            signal.width,
            spec.channels,
            size,  # type: ignore[arg-type]
            stride=stride,  # type: ignore[arg-type]
            padding=padding,  # type: ignore[arg-type]
            output_padding=extra,  # type: ignore[arg-type]
            groups=group_count(spec.kind, spec.groups, spec.channels, signal),
            bias=bias_is_used(spec.norm) if spec.bias == "auto" else spec.bias,
            dilation=dilation,  # type: ignore[arg-type]
        )
        self.norm = norm(spec.norm, with_channels(signal, spec.channels))
        self.activation = activation(spec.activation)

    def forward(self, x: Tensor, stream: Stream | None = None) -> Tensor:
        """The larger signal, normalised and activated."""
        whole_rows_only("conv_transpose", x, stream, "use {kind: conv, padding: same}")
        x = self.conv(x.transpose(1, 2)).transpose(1, 2) if self.over_time else self.conv(x)
        y: Tensor = self.activation(through(self.norm, x, stream))
        return y


def _margins(
    spec: ConvTransposeSpec, signal: Signal, reach: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The cells cut from both sides, and those added to the end.

    Raises:
        ShapeError: If nothing would be left.
    """
    if spec.padding == "same":
        surplus = tuple(r - s for r, s in zip(reach, stride, strict=True))
        if min(surplus) < 0:
            raise ShapeError(
                f"conv_transpose has padding: same with patches of {times(reach)}, smaller than "
                f"its stride of {times(stride)}; make the kernel larger, or leave padding out"
            )
        padding = tuple((more + 1) // 2 for more in surplus)
        return padding, tuple(more % 2 for more in surplus)
    cells = 0 if spec.padding == "valid" else spec.padding
    padding = for_each(cells, spec.kind, "padding", signal)
    extra = for_each(spec.extra, spec.kind, "extra", signal)
    for n, s, r, p, e in zip(positions(signal), stride, reach, padding, extra, strict=True):
        if (n - 1) * s + r - 2 * p + e < 1:
            raise ShapeError(
                f"conv_transpose cuts {times(padding)} positions from each side, which leaves "
                f"nothing of {signal}; make the padding smaller"
            )
    return padding, extra
