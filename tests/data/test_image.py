from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import luthier.data.image as image_module
from luthier.data.image import MeanStd, Preprocessing, look
from luthier.errors import DataError, SpecError
from luthier.spec import parse, plain

GREY = Preprocessing(height=4, width=6, channels=1)
COLOUR = Preprocessing(height=4, width=6, channels=3)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def png_head(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "PPM"])
def test_pixels_of_lossless_formats_are_kept(kind: str) -> None:
    image = noise(6, 4)
    data = encoded(image, kind, lossless=True) if kind == "WEBP" else encoded(image, kind)
    assert (COLOUR.decode(data) == np.asarray(image)).all()


def test_a_jpeg_is_nearly_kept() -> None:
    smooth = Image.fromarray(np.linspace(0, 255, 24, dtype=np.uint8).reshape(4, 6))
    got = GREY.decode(encoded(smooth, "JPEG", quality=95))[..., 0].astype(int)
    assert abs(got - np.asarray(smooth).astype(int)).max() <= 6


def test_grey_becomes_colour_and_back() -> None:
    grey = noise(6, 4, "L")
    assert (COLOUR.decode(encoded(grey)) == np.asarray(grey)[..., None]).all()
    assert (GREY.decode(encoded(grey))[..., 0] == np.asarray(grey)).all()


def test_transparent_is_white() -> None:
    image = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
    image.putpixel((2, 1), (10, 20, 30, 255))
    pixels = COLOUR.decode(encoded(image))
    assert pixels[1, 2].tolist() == [10, 20, 30]
    assert pixels[0, 0].tolist() == [255, 255, 255]
    palette = image.convert("P")
    assert COLOUR.decode(encoded(palette, transparency=palette.getpixel((0, 0))))[0, 0, 0] == 255


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    wide = Image.fromarray(np.full((4, 6), 0x8000, dtype=np.uint16))
    assert (GREY.decode(encoded(wide)) == 0x80).all()
    assert (COLOUR.decode(encoded(wide)) == 0x80).all()


def test_exif_turns_the_picture() -> None:
    image = Image.new("RGB", (4, 6))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the first row is at the right
    data = encoded(image, "PNG", exif=exif.tobytes())
    seen = look(data)
    assert (seen.width, seen.height, seen.grey) == (6, 4, False)
    assert COLOUR.decode(data)[0, 5].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("fit", "left", "right"),
    [("crop", 128, 128), ("stretch", 255, 255), ("pad", 0, 0)],
)
def test_fit(fit: str, left: int, right: int) -> None:
    # Three times as wide as high: white, grey, white.
    row = np.repeat(np.array([255, 128, 255], dtype=np.uint8), 8)
    wide = Image.fromarray(np.tile(row, (8, 1)))
    square = Preprocessing(height=8, width=8, channels=1, fit=fit, interpolation="nearest")
    pixels = square.decode(encoded(wide))
    assert pixels.shape == (8, 8, 1)
    top = pixels[0, :, 0] if fit == "pad" else pixels[4, :, 0]
    assert (top[0], top[-1]) == (left, right)
    assert pixels[4, 4, 0] == 128


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"hello", "is no picture of a known format (PNG, JPEG, WEBP, BMP, PPM)"),
        (b"GIF89a" + b"\0" * 60, "is no picture of a known format"),
        (b"%PDF-1.4 " + b"\0" * 60, "is no picture of a known format"),
        (b"SIMPLE  =                    T", "is no picture of a known format"),
        (encoded(noise(40, 40))[:-200], "is damaged or cut off"),
        (encoded(noise(40, 40), "JPEG")[:-200], "is damaged or cut off"),
        (png_head(9000, 9000), "has 9000 x 9000 pixels; up to 64,000,000 are read"),
        (png_head(60000, 60000), "has too many pixels; up to 64,000,000 are read"),
        (png_head(300, 300), "is damaged or cut off"),
        (
            encoded(noise(4, 4), "PNG", save_all=True, append_images=[noise(4, 4, "L")]),
            "is an animation of 2 pictures; wanted one",
        ),
        (b"Pf\n1 1\n1.0\n" + b"\0" * 4, "has floating-point pixels; wanted whole numbers"),
    ],
)
def test_what_is_wrong_with_a_picture(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        COLOUR.decode(data)
    assert str(caught.value).startswith(reason)
    file = tmp_path / "bad.png"
    file.write_bytes(data)
    with pytest.raises(DataError) as caught:
        COLOUR.decode(file)
    assert str(caught.value).startswith(f"{file}: {reason}")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    with file.open("wb") as out:
        out.truncate(65 * 2**20)
    with pytest.raises(DataError, match=r"large.png: has 65 MiB; pictures of up to 64 are read"):
        COLOUR.decode(file)


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match=r"pipe.png: is no plain file"):
        COLOUR.decode(pipe)
    with pytest.raises(DataError, match=r"cannot be read: No such file or directory"):
        COLOUR.decode(tmp_path / "nothing.png")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_an_error_or_a_picture(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "PPM"]))
    good = bytearray(encoded(noise(9, 7), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(good[: data.draw(st.integers(0, len(good)))])
    for read in (COLOUR.decode, look):
        with contextlib.suppress(DataError):
            read(damaged)


def test_a_cut_off_file_that_is_let_through_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    # The switch that many scripts set: with it, the test above for cut-off files would fail.
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    assert COLOUR.decode(encoded(noise(40, 40), "JPEG")[:-200]).shape == (4, 6, 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("figures", [((0.5,), (0.25,)), ((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))])
def test_normalisation(channels: int, figures: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    mean, std = (values[:channels] for values in figures)
    spec = Preprocessing(height=5, width=7, channels=channels, mean=mean, std=std)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 5, 7, channels), dtype=np.uint8)
    got = spec.tensor(pixels)
    wanted = (pixels.transpose(0, 3, 1, 2) / 255 - np.reshape(mean, (-1, 1, 1))) / np.reshape(
        std, (-1, 1, 1)
    )
    assert got.shape == (3, channels, 5, 7)
    assert got.dtype == torch.float32
    assert got.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-5, atol=1e-6)
    broken = (pixels.transpose(0, 3, 1, 2) / 255) / np.reshape(std, (-1, 1, 1))  # mean forgotten
    assert abs(got.numpy() - broken).max() > 0.01


def test_plain_pixels() -> None:
    spec = Preprocessing(height=1, width=2, channels=1, divisor=1.0)
    assert spec.tensor(np.array([[[[0], [255]]]], dtype=np.uint8)).flatten().tolist() == [0, 255]


def test_preprocessing_comes_back_from_json() -> None:
    spec = Preprocessing(height=5, width=7, channels=3, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    assert parse(Preprocessing, plain(spec)) == spec


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"channels": 1, "mean": [0.1, 0.2, 0.3]}, "mean: got 3 values for 1 channels"),
        ({"channels": 3, "std": [0.0]}, "std must be above 0, got 0.0"),
    ],
)
def test_wrong_preprocessing(settings_: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(Preprocessing, {"height": 4, "width": 4, **settings_})


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.1], [0.1, 0.2], "got 1 means and 2 stds; wanted 1 or 3 of both"),
        ([0.1], [-1.0], "std must be above 0, got -1.0"),
    ],
)
def test_wrong_mean_and_std(mean: list[float], std: list[float], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(MeanStd, {"mean": mean, "std": std})


def test_the_limits_are_what_the_messages_say() -> None:
    assert image_module.MAX_BYTES == 64 * 2**20
    assert image_module.MAX_PIXELS == 64_000_000
