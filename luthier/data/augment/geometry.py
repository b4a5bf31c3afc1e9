"""Augmentations that move pixels: flip, shift, crop, affine.

Each is a function of the pixels and of uniform values drawn for each row; it may write into the
array that it is given. Every value is rounded by itself (no fused or vectorised function whose
result could depend on the batch), so a row comes out the same in any batch, bit for bit.

Dimension key, for the whole file:
    B  batch      H  height      W  width      C  channels      n  values drawn for a row
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field, model_validator

from luthier.data.image import Pixels
from luthier.spec import Many, Spec

Uniforms = NDArray[np.float64]


class FlipSpec(Spec):
    """Mirrors a picture."""

    kind: Literal["flip"] = "flip"
    draws: ClassVar[int] = 1

    direction: Literal["horizontal", "vertical"] = "horizontal"
    """Horizontal swaps left and right; vertical swaps top and bottom."""
    probability: float = Field(default=0.5, gt=0, le=1)
    """The share of pictures that are mirrored."""

    def apply(self, x_BHWC: Pixels, u_Bn: Uniforms) -> Pixels:
        """The pictures, some of them mirrored."""
        rows = np.flatnonzero(u_Bn[:, 0] < self.probability)
        turned = x_BHWC[rows]
        along = (slice(None), slice(None), slice(None, None, -1))
        step = along if self.direction == "horizontal" else (along[0], along[2], along[1])
        flipped = np.empty_like(turned)
        for channel in range(x_BHWC.shape[-1]):  # three plain copies are faster than one of threes
            flipped[..., channel] = turned[..., channel][step]
        x_BHWC[rows] = flipped
        return x_BHWC


class ShiftSpec(Spec):
    """Moves a picture by whole pixels; what moves out is lost."""

    kind: Literal["shift"] = "shift"
    draws: ClassVar[int] = 2

    fraction: float = Field(default=0.1, gt=0, lt=1)
    """The farthest move in each direction, as a share of the height and of the width."""
    fill: int = Field(default=0, ge=0, le=255)
    """The pixel value of what moves in."""

    def apply(self, x_BHWC: Pixels, u_Bn: Uniforms) -> Pixels:
        """The pictures, each moved by its own distance."""
        _, height, width, _ = x_BHWC.shape
        most = (round(self.fraction * height), round(self.fraction * width))
        return _moved(x_BHWC, u_Bn, most, "constant", self.fill)


class CropSpec(Spec):
    """Pads a picture on all sides and cuts a picture of the old size out of it."""

    kind: Literal["crop"] = "crop"
    draws: ClassVar[int] = 2

    padding: int = Field(default=4, ge=1)
    """Pixels added at each side before the cut."""
    mode: Literal["constant", "reflect", "edge"] = "constant"
    """What is added: black, the picture mirrored, or its outermost pixels."""

    def apply(self, x_BHWC: Pixels, u_Bn: Uniforms) -> Pixels:
        """The pictures, each cut at its own place.

        Raises:
            ValueError: If there is less picture than padding to mirror.
        """
        most = (self.padding, self.padding)
        return _moved(x_BHWC, u_Bn, most, self.mode, 0)


class AffineSpec(Spec):
    """Turns, scales and shears a picture about its middle, in one resampling."""

    kind: Literal["affine"] = "affine"
    draws: ClassVar[int] = 4

    rotate: float = Field(default=0.0, ge=0, le=180)
    """The largest turn to either side, in degrees."""
    scale: Many[float] = (1.0, 1.0)
    """The smallest and the largest size, as a multiple."""
    shear: float = Field(default=0.0, ge=0, lt=90)
    """The largest slant to either side, along both axes, in degrees."""
    fill: int = Field(default=0, ge=0, le=255)
    """The pixel value of what comes in from outside."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(
                f"scale: got {list(self.scale)}; wanted [smallest, largest], both above 0"
            )
        if not self.rotate and not self.shear and self.scale == (1, 1):
            raise ValueError("changes nothing; give rotate, scale or shear")
        return self

    def apply(self, x_BHWC: Pixels, u_Bn: Uniforms) -> Pixels:
        """The pictures, each moved by a map of its own; bilinear."""
        maps_B4 = np.array([self._inverse(row) for row in u_Bn.tolist()])
        grid_BHW2 = _grid(maps_B4, *x_BHWC.shape[1:3])
        x_BCHW = torch.from_numpy(x_BHWC).permute(0, 3, 1, 2).to(torch.float32).contiguous()
        x_BCHW.sub_(self.fill)  # outside, grid_sample reads zeros
        y_BCHW = F.grid_sample(x_BCHW, torch.from_numpy(grid_BHW2), align_corners=False)
        y_BCHW.add_(self.fill).round_().clamp_(0, 255)
        return np.ascontiguousarray(y_BCHW.to(torch.uint8).permute(0, 2, 3, 1).numpy())

    def _inverse(self, u: list[float]) -> tuple[float, float, float, float]:
        """The matrix from a place in the new picture to the place in the old one, by rows.

        Uses `math`: numpy's sine of an array may differ in the last bit with its length.
        """
        turn = math.radians(self.rotate) * (2 * u[0] - 1)
        scale = self.scale[0] + (self.scale[1] - self.scale[0]) * u[1]
        slant_x = math.tan(math.radians(self.shear) * (2 * u[2] - 1))
        slant_y = math.tan(math.radians(self.shear) * (2 * u[3] - 1))
        cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
        # forward = rotation and scale, after the shear
        a, b = cos - sin * slant_y, cos * slant_x - sin
        c, d = sin + cos * slant_y, sin * slant_x + cos
        area = a * d - b * c
        if area == 0:  # sheared by 45 degrees both ways: the picture is a line
            return 1.0, 0.0, 0.0, 1.0
        return d / area, -b / area, -c / area, a / area


def _moved(
    x_BHWC: Pixels,
    u_Bn: Uniforms,
    most: tuple[int, int],
    mode: Literal["constant", "reflect", "edge"],
    fill: int,
) -> Pixels:
    """Each picture moved by up to `most` (down, right) pixels to either side."""
    _, height, width, _ = x_BHWC.shape
    if mode == "reflect" and (most[0] >= height or most[1] >= width):
        raise ValueError(f"padding {most[0]} is too much to mirror pictures of {height} x {width}")
    margins = ((0, 0), (most[0], most[0]), (most[1], most[1]), (0, 0))
    if mode == "constant":
        padded = np.pad(x_BHWC, margins, mode, constant_values=fill)
    else:
        padded = np.pad(x_BHWC, margins, mode)
    tops = (u_Bn[:, 0] * (2 * most[0] + 1)).astype(np.int64).tolist()
    lefts = (u_Bn[:, 1] * (2 * most[1] + 1)).astype(np.int64).tolist()
    for row, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        x_BHWC[row] = padded[row, top : top + height, left : left + width]
    return x_BHWC


def _grid(maps_B4: NDArray[np.float64], height: int, width: int) -> NDArray[np.float32]:
    """Where each new pixel is read from, `(B, H, W, 2)`: x and y, from -1 to 1."""
    y = (np.arange(height) - (height - 1) / 2)[None, :, None]
    x = (np.arange(width) - (width - 1) / 2)[None, None, :]
    a, b, c, d = (maps_B4[:, column, None, None] for column in range(4))
    grid = np.empty((len(maps_B4), height, width, 2), dtype=np.float32)
    grid[..., 0] = (a * x + b * y) * (2 / width)
    grid[..., 1] = (c * x + d * y) * (2 / height)
    return grid
