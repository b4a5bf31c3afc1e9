"""Pictures: the one decoder, and how pixels become what a network reads.

Dimension key, for the whole file:
    B  batch      H  height      W  width      C  channels
"""

from __future__ import annotations

import io
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import Field, model_validator
from torch import Tensor

from luthier.errors import DataError
from luthier.spec import Many, Spec

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".ppm", ".pgm", ".pbm")
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64_000_000

Fit = Literal["crop", "stretch", "pad"]
Interpolation = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
Pixels = NDArray[np.uint8]

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"}
_TURNED = {5, 6, 7, 8}  # EXIF orientations that lie on their side
_ORIENTATION = 0x0112
# What Pillow's parsers raise on damaged bytes; none of it is a fault of ours.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    AttributeError,
    MemoryError,
    struct.error,
)


class MeanStd(Spec):
    """A mean and a standard deviation for each channel, of pixels from 0 to 1."""

    mean: Many[float]
    """One value a channel; ImageNet's are 0.485, 0.456, 0.406."""
    std: Many[float]
    """One value a channel, above 0; ImageNet's are 0.229, 0.224, 0.225."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.mean) != len(self.std) or len(self.mean) not in (1, 3):
            raise ValueError(
                f"got {len(self.mean)} means and {len(self.std)} stds; wanted 1 or 3 of both"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {min(self.std)}")
        return self


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the head of a file says of its picture, before anything is decoded."""

    width: int
    height: int
    grey: bool
    """Whether it is stored without colours."""


class Preprocessing(Spec):
    """How a picture becomes the input of a network; kept with the finished model.

    A value is (pixel / divisor - mean) / std.
    """

    height: int = Field(ge=1)
    """Pixels."""
    width: int = Field(ge=1)
    """Pixels."""
    channels: Literal[1, 3]
    """1 for grey, 3 for red, green, blue."""
    fit: Fit = "crop"
    """What happens to a picture of another shape: cut at its sides, stretched, or set on black."""
    interpolation: Interpolation = "bilinear"
    """How pixels are made from others when the size changes; edges are smoothed when it shrinks."""
    divisor: float = Field(default=255.0, gt=0)
    """What pixels, 0 to 255, are divided by."""
    mean: Many[float] = (0.0,)
    """Taken away: one value, or one a channel."""
    std: Many[float] = (1.0,)
    """Divided by: one value, or one a channel."""

    @model_validator(mode="after")
    def _one_a_channel(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name}: got {len(values)} values for {self.channels} channels")
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {min(self.std)}")
        return self

    def decode(self, source: Path | str | bytes) -> Pixels:
        """The picture in a file, or in its bytes, as `(H, W, C)` pixels of this size.

        Turned as its EXIF orientation says; transparent places are white, 16-bit grey becomes
        8-bit.

        Raises:
            DataError: If it cannot be read, is no picture, is too large or is damaged.
        """
        if isinstance(source, bytes):
            return self._pixels(source)
        try:
            return self._pixels(read_bytes(Path(source)))
        except DataError as error:
            raise DataError(f"{source}: {error}") from None

    def conform(self, image: Image.Image) -> Pixels:
        """A decoded picture in this size and with these channels, `(H, W, C)`."""
        image = _flat(image).convert("L" if self.channels == 1 else "RGB")
        if image.size != (self.width, self.height):
            image = self._resized(image)
        return np.array(image).reshape(self.height, self.width, self.channels)

    def tensor(self, pixels_BHWC: Pixels) -> Tensor:
        """Pixels as a network reads them: float32 `(B, C, H, W)`."""
        # torch warns of arrays that may not be written, though nothing here would.
        return Normalization(self)(
            torch.from_numpy(np.require(pixels_BHWC, requirements=["C", "W"]))
        )

    def _pixels(self, data: bytes) -> Pixels:
        image = _opened(data)
        try:
            image.load()
            turned = ImageOps.exif_transpose(image)
            return self.conform(turned)
        except _DAMAGED as error:
            raise DataError(f"is damaged or cut off: {error}") from None

    def _resized(self, image: Image.Image) -> Image.Image:
        size, resample = (self.width, self.height), _FILTERS[self.interpolation]
        if self.fit == "stretch":
            return image.resize(size, resample)
        if self.fit == "pad":
            return ImageOps.pad(image, size, resample)
        # The largest box of the wanted shape in the middle, read by the filter without rounding.
        scale = min(image.width / self.width, image.height / self.height)
        left = (image.width - self.width * scale) / 2
        top = (image.height - self.height * scale) / 2
        box = (left, top, left + self.width * scale, top + self.height * scale)
        return image.resize(size, resample, box=box)


class Normalization:
    """uint8 `(B, H, W, C)` to normalised float32 `(B, C, H, W)`, by a prepared affine map.

    The result keeps the order of its pixels in memory (torch's channels_last), which a
    convolution on a CPU reads fastest. Multiplies, then adds, each rounded by itself: so a
    row comes out the same in any batch.

    Args:
        spec: The divisor, the means and the stds.
    """

    def __init__(self, spec: Preprocessing) -> None:
        mean = np.broadcast_to(np.asarray(spec.mean, dtype=np.float64), (spec.channels,))
        std = np.broadcast_to(np.asarray(spec.std, dtype=np.float64), (spec.channels,))
        scale, shift = 1 / (spec.divisor * std), -mean / std
        # A row as long as a picture: a vector of three would be walked pixel by pixel.
        pixels = spec.height * spec.width
        self._scale: float | Tensor = float(scale[0])
        if not (scale == scale[0]).all():
            self._scale = torch.from_numpy(np.tile(scale, pixels).astype(np.float32))
        self._shift: float | Tensor = float(shift[0])
        if not (shift == shift[0]).all():
            self._shift = torch.from_numpy(np.tile(shift, pixels).astype(np.float32))

    def __call__(self, pixels_BHWC: Tensor) -> Tensor:
        """The normalised pictures; a new tensor."""
        x_BP = pixels_BHWC.flatten(1).to(torch.float32)
        if isinstance(self._scale, Tensor) or self._scale != 1:
            x_BP.mul_(self._scale)
        if isinstance(self._shift, Tensor) or self._shift != 0:
            x_BP.add_(self._shift)
        return x_BP.view(pixels_BHWC.shape).permute(0, 3, 1, 2)


def look(data: bytes) -> Look:
    """The size and the kind of a picture, from its head.

    Raises:
        DataError: If it is no picture, or too large.
    """
    image = _opened(data)
    try:
        # Asked for EXIF data that is not in the head, Pillow would decode a whole PNG to find it.
        turned = "exif" in image.info and image.getexif().get(_ORIENTATION) in _TURNED
    except _DAMAGED as error:
        raise DataError(f"is damaged or cut off: {error}") from None
    width, height = reversed(image.size) if turned else image.size
    return Look(width=width, height=height, grey=image.mode in _GREY_MODES)


def read_bytes(path: Path) -> bytes:
    """The bytes of a picture's file.

    Raises:
        DataError: If it cannot be read, is no plain file, or is larger than `MAX_BYTES`. The
            message does not name the file.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError("is no plain file")
        check_size(status.st_size)
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from None


def check_size(size_bytes: int) -> None:
    """Refuse a file that is too large for one picture.

    Raises:
        DataError: If it is above `MAX_BYTES`.
    """
    if size_bytes > MAX_BYTES:
        raise DataError(
            f"has {size_bytes / 2**20:.0f} MiB; pictures of up to {MAX_BYTES // 2**20} are read"
        )


def _opened(data: bytes) -> Image.Image:
    """A picture whose head was read and found harmless; its pixels are not decoded yet."""
    if not data:
        raise DataError("is empty")
    check_size(len(data))
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise DataError(f"has too many pixels; up to {MAX_PIXELS:,} are read") from None
    except UnidentifiedImageError:
        raise DataError(f"is no picture of a known format ({', '.join(FORMATS)})") from None
    except _DAMAGED as error:
        raise DataError(f"is damaged or cut off: {error}") from None
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"has {image.width} x {image.height} pixels; up to {MAX_PIXELS:,} are read")
    frames: int = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # of a stereo photograph the first view is taken
        raise DataError(f"is an animation of {frames} pictures; wanted one")
    if image.mode == "F":
        raise DataError("has floating-point pixels; wanted whole numbers")
    return image


def _flat(image: Image.Image) -> Image.Image:
    """Without transparency, and with 8 bits a channel."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray((wide >> 8).astype(np.uint8))
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image)
    return image
