"""Augmentations that change pixel values: colour, erase.

Dimension key, for the whole file:
    B  batch      H  height      W  width      C  channels      n  values drawn for a row
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from luthier.data.image import Pixels
from luthier.spec import Many, Spec

_GREY = np.array([299, 587, 114], dtype=np.int64)  # ITU-R BT.601, in thousandths


class ColourSpec(Spec):
    """Changes brightness, contrast and saturation, in this order."""

    kind: Literal["colour"] = "colour"
    draws: ClassVar[int] = 3

    brightness: float = Field(default=0.0, ge=0, le=1)
    """Pixels are multiplied by up to 1 plus or minus this."""
    contrast: float = Field(default=0.0, ge=0, le=1)
    """Distances from the mean grey are multiplied by up to 1 plus or minus this."""
    saturation: float = Field(default=0.0, ge=0, le=1)
    """Distances from a pixel's grey are multiplied by up to 1 plus or minus this."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.brightness or self.contrast or self.saturation):
            raise ValueError("changes nothing; give brightness, contrast or saturation")
        return self

    def apply(self, x_BHWC: Pixels, u_Bn: NDArray[np.float64]) -> Pixels:
        """The pictures, each with factors of its own."""
        strengths = (self.brightness, self.contrast, self.saturation)
        factors_Bn = 1 + np.array(strengths) * (2 * u_Bn - 1)
        brightness, contrast, saturation = (
            factors_Bn[:, column].astype(np.float32)[:, None, None, None] for column in range(3)
        )
        x_BCHW = np.ascontiguousarray(x_BHWC.transpose(0, 3, 1, 2))
        y_BCHW = x_BCHW.astype(np.float32)
        y_BCHW *= brightness
        if self.contrast:
            mean = _mean_grey(x_BCHW)[:, None, None, None] * brightness
            y_BCHW -= mean
            y_BCHW *= contrast
            y_BCHW += mean
        if self.saturation and x_BCHW.shape[1] == 3:
            weights = (_GREY / 1000).astype(np.float32)
            grey = y_BCHW[:, 0:1] * weights[0]
            grey += y_BCHW[:, 1:2] * weights[1]
            grey += y_BCHW[:, 2:3] * weights[2]
            y_BCHW -= grey
            y_BCHW *= saturation
            y_BCHW += grey
        np.rint(y_BCHW, out=y_BCHW)
        np.clip(y_BCHW, 0, 255, out=y_BCHW)
        return np.ascontiguousarray(y_BCHW.astype(np.uint8).transpose(0, 2, 3, 1))


class EraseSpec(Spec):
    """Fills a random rectangle with one value.

    Source:
        Zhong et al. 2017, Random erasing, 1708.04896. Ours draws the height to width ratio
        evenly from 1 to 3.3 and lays half of the rectangles on their side.
    """

    kind: Literal["erase"] = "erase"
    draws: ClassVar[int] = 6

    probability: float = Field(default=0.5, gt=0, le=1)
    """The share of pictures that lose a rectangle."""
    area: Many[float] = (0.02, 0.2)
    """The smallest and the largest rectangle, as a share of the picture."""
    fill: int = Field(default=0, ge=0, le=255)
    """The pixel value of the rectangle."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if len(self.area) != 2 or not 0 < self.area[0] <= self.area[1] < 1:
            raise ValueError(
                f"area: got {list(self.area)}; wanted [smallest, largest], from above 0 to below 1"
            )
        return self

    def apply(self, x_BHWC: Pixels, u_Bn: NDArray[np.float64]) -> Pixels:
        """The pictures, some of them with a rectangle less."""
        _, height, width, _ = x_BHWC.shape
        share = self.area[0] + (self.area[1] - self.area[0]) * u_Bn[:, 1]
        ratio = 1 + 2.3 * u_Bn[:, 2]
        ratio = np.where(u_Bn[:, 3] < 0.5, ratio, 1 / ratio)
        tall = np.rint(np.sqrt(share * height * width * ratio)).astype(np.int64).clip(1, height)
        wide = np.rint(np.sqrt(share * height * width / ratio)).astype(np.int64).clip(1, width)
        tops = (u_Bn[:, 4] * (height - tall + 1)).astype(np.int64)
        lefts = (u_Bn[:, 5] * (width - wide + 1)).astype(np.int64)
        for row in np.flatnonzero(u_Bn[:, 0] < self.probability):
            bottom, right = tops[row] + tall[row], lefts[row] + wide[row]
            x_BHWC[row, tops[row] : bottom, lefts[row] : right] = self.fill
        return x_BHWC


def _mean_grey(x_BCHW: Pixels) -> NDArray[np.float32]:
    """`(B,)`: the mean brightness of each picture, 0 to 255.

    Summed in whole numbers: a floating-point sum may depend on how it is cut up.
    """
    batch, channels, height, width = x_BCHW.shape
    sums_BC = torch.from_numpy(x_BCHW).view(batch, channels, -1).sum(2, dtype=torch.int64).numpy()
    grey = sums_BC @ _GREY if channels == 3 else sums_BC[:, 0] * 1000
    mean: NDArray[np.float32] = (grey / (1000 * height * width)).astype(np.float32)
    return mean
