"""Norms: values brought to mean 0 and spread 1, then scaled and shifted as learned.

Dimension key, for the whole file:
    B  batch      C  channels      H, W  height and width      T  time      D  width
    S  positions of all rows      P  of those, the ones that are no padding
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec, Size
from luthier.model.rms_norm import RmsNorm
from luthier.model.stream import Stream, Streamed, whole_rows_only
from luthier.signal import Signal

NormName = Literal["none", "batch", "layer", "group", "rms"]
"""A norm inside another block, with its usual settings, or none."""

Epsilon = Annotated[float, Field(gt=0, lt=1)]


class BatchNormSpec(BlockSpec):
    """Each feature normalised over the batch and all positions.

    In evaluation, running averages stand for the statistics of the batch, so that a prediction
    does not depend on the others in its batch.

    Cost:
        Parameters: 2 a feature, and 2 running averages.

    Source:
        Ioffe and Szegedy 2015, 1502.03167.
    """

    kind: Literal["batch_norm"] = "batch_norm"
    momentum: float = Field(default=0.1, gt=0, le=1)
    """The share of the new batch in the running averages. Keras calls 0.99 what is 0.01 here."""
    epsilon: Epsilon = 1e-5
    """Added to the variance, against a division by zero."""

    def build(self, signal: Signal) -> nn.Module:
        """A batch norm over the features of `signal`."""
        _refuse_tokens(self, signal)
        layer = {"image": nn.BatchNorm2d, "sequence": TimeBatchNorm, "vector": nn.BatchNorm1d}
        return layer[signal.form](signal.width, eps=self.epsilon, momentum=self.momentum)


class LayerNormSpec(BlockSpec):
    """Each position normalised over its features.

    Of an image, each pixel over its channels, as in ConvNeXt; not the whole image at once.

    Cost:
        Parameters: 2 a feature, or 1 without a bias.

    Source:
        Ba et al. 2016, 1607.06450.
    """

    kind: Literal["layer_norm"] = "layer_norm"
    epsilon: Epsilon = 1e-5
    """Added to the variance, against a division by zero."""
    bias: bool = True
    """Whether each feature also has a learned number added."""

    def build(self, signal: Signal) -> nn.Module:
        """A layer norm over the features of `signal`."""
        _refuse_tokens(self, signal)
        layer = PixelLayerNorm if signal.form == "image" else nn.LayerNorm
        return layer(signal.width, eps=self.epsilon, bias=self.bias)


class RmsNormSpec(BlockSpec):
    """Each position divided by the root mean square of its features; no mean, no shift.

    Cost:
        Parameters: 1 a feature.

    Source:
        Zhang and Sennrich 2019, 1910.07467.
    """

    kind: Literal["rms_norm"] = "rms_norm"
    epsilon: Epsilon = 1e-6
    """Added to the mean square, against a division by zero."""

    def build(self, signal: Signal) -> nn.Module:
        """An RMS norm over the features of `signal`."""
        _refuse_tokens(self, signal)
        layer = PixelRmsNorm if signal.form == "image" else RmsNorm
        return layer(signal.width, eps=self.epsilon)


class GroupNormSpec(BlockSpec):
    """Groups of features normalised together over all positions of a sample.

    Cost:
        Parameters: 2 a feature.

    Source:
        Wu and He 2018, 1803.08494.
    """

    kind: Literal["group_norm"] = "group_norm"
    groups: Size = 32
    """Groups of equal size. Must divide the features; 1 normalises all of them together."""
    epsilon: Epsilon = 1e-5
    """Added to the variance, against a division by zero."""

    def build(self, signal: Signal) -> nn.Module:
        """A group norm over the features of `signal`."""
        _refuse_tokens(self, signal)
        if signal.width % self.groups:
            raise ShapeError(
                f"group_norm has {self.groups} groups, which do not divide the {signal.width} "
                f"features of {signal}; use the block {{kind: group_norm, groups: "
                f"{divisor(signal.width, min(self.groups, signal.width // 2))}}}"
            )
        layer = TimeGroupNorm if signal.form == "sequence" else nn.GroupNorm
        return layer(self.groups, signal.width, eps=self.epsilon)


def norm(name: NormName, signal: Signal) -> nn.Module:
    """The norm called `name` for `signal`, as the end of another block; an identity for none."""
    match name:
        case "none":
            return nn.Identity()
        case "batch":
            return BatchNormSpec().build(signal)
        case "layer":
            return LayerNormSpec().build(signal)
        case "group":
            return GroupNormSpec().build(signal)
        case "rms":
            return RmsNormSpec().build(signal)


def bias_is_used(name: NormName) -> bool:
    """Whether a bias before the norm does something: most norms take it away, or add their own."""
    return name in ("none", "rms")


def divisor(number: int, limit: int) -> int:
    """The largest divisor of `number` up to `limit`; 1 where there is none."""
    return next((d for d in range(limit, 1, -1) if number % d == 0), 1)


def _refuse_tokens(spec: BlockSpec, signal: Signal) -> None:
    if signal.form == "tokens":
        raise spec.unreadable("numbers", signal)


class TimeBatchNorm(nn.BatchNorm1d, Streamed):
    """Batch norm of sequences. Padding does not count in the statistics."""

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """`(B, T, D)` to the same."""
        layout = None if stream is None else stream.layout
        x_SD = x_BTD.flatten(0, 1)
        if layout is None or not self.training or len(layout.present_S) == len(x_SD):
            return super().forward(x_SD).view_as(x_BTD)
        y_PD = super().forward(x_SD.index_select(0, layout.present_S))
        y_SD = y_PD.new_zeros(x_SD.shape).index_copy(0, layout.present_S, y_PD)
        return y_SD.view_as(x_BTD)


class TimeGroupNorm(nn.GroupNorm, Streamed):
    """Group norm of sequences."""

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """`(B, T, D)` to the same."""
        whole_rows_only("group_norm", x_BTD, stream, "use {kind: layer_norm}")
        return super().forward(x_BTD.transpose(1, 2)).transpose(1, 2)


class PixelLayerNorm(nn.LayerNorm):
    """Layer norm of each pixel over its channels."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """`(B, C, H, W)` to the same."""
        return super().forward(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PixelRmsNorm(nn.RMSNorm):
    """RMS norm of each pixel over its channels."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """`(B, C, H, W)` to the same."""
        return super().forward(x_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
