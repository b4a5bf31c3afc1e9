"""The decoder: every format, its limits, and what is no sound."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sound_files import CONTAINERS, coded, tone, wav_bytes

from luthier.data.sound import decoder
from luthier.data.sound.decoder import decode, look
from luthier.errors import DataError


def test_wav_comes_back_as_it_was_stored() -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, 5000)
    wanted = np.rint(samples * 32767) / 32768
    np.testing.assert_array_equal(decode(wav_bytes(samples), 16_000), wanted.astype(np.float32))


def test_flac_is_the_same_as_wav() -> None:
    samples = tone(440, 0.5)
    flac, wav = coded(samples, 16_000, "flac"), wav_bytes(samples)
    np.testing.assert_array_equal(decode(flac, 16_000), decode(wav, 16_000))


@pytest.mark.parametrize("container", sorted(CONTAINERS))
def test_every_format_keeps_pitch_loudness_and_length(container: str) -> None:
    samples, rate = tone(440, 1.0, 48_000), 48_000
    wave = decode(coded(samples, rate, container), 16_000)
    assert abs(len(wave) - 16_000) < 1600
    middle = wave[4000:12_000]
    spectrum = np.abs(np.fft.rfft(middle))
    assert abs(int(spectrum.argmax()) * 2 - 440) <= 2
    assert np.std(middle) == pytest.approx(0.5 / np.sqrt(2), rel=0.07)


def test_the_content_decides_and_not_the_name() -> None:
    assert look(coded(tone(440, 0.2), 16_000, "flac")).rate == 16_000


def test_channels_are_averaged() -> None:
    stereo = np.stack([tone(440, 0.1), np.zeros(1600)], 1)
    wave = decode(wav_bytes(stereo), 16_000)
    np.testing.assert_allclose(wave, tone(440, 0.1) / 2, atol=1e-4)


def test_stereo_at_192_khz_is_brought_down() -> None:
    left = tone(1000, 0.5, 192_000)
    wave = decode(wav_bytes(np.stack([left, left], 1), 192_000), 16_000)
    assert len(wave) == 8000
    np.testing.assert_allclose(wave[1000:7000], tone(1000, 0.5)[1000:7000], atol=2e-3)


def test_what_the_lower_rate_cannot_hold_is_taken_away() -> None:
    wave = decode(wav_bytes(tone(7000, 0.5, 16_000)), 8000)
    assert np.abs(wave[500:-500]).max() < 0.01


FLAC = coded(np.random.default_rng(0).uniform(-0.5, 0.5, 32_000), 16_000, "flac")
BAD = {
    "empty": (b"", "is empty"),
    "no sound": (b"hello, this is a text\n" * 20, "is no sound of a known format"),
    "a playlist": (b"#EXTM3U\n#EXTINF:1\nfile:///etc/hostname\n", "is no sound of a known format"),
    "0 seconds": (wav_bytes(np.zeros(0)), "holds no sound: 0 seconds"),
    "flac cut off": (FLAC[: len(FLAC) // 2], "is damaged or cut off"),
    "wav cut off": (wav_bytes(np.zeros(16_000))[:9000], "it says 1.0 seconds, and holds 0.3"),
    "12 channels": (wav_bytes(np.zeros((100, 12))), "has 12 channels; up to 8 are read"),
    "a head alone": (b"RIFF\0\0\0\0WAVEfmt ", "is damaged or cut off"),
    "another head": (b"\0\0\0\x18ftypM4A " + b"abc" * 100, "is damaged or cut off"),
}


@pytest.mark.parametrize("case", BAD)
def test_each_bad_file_has_one_clear_reason(case: str) -> None:
    data, message = BAD[case]
    with pytest.raises(DataError, match=message):
        decode(data, 16_000)


def test_seconds_are_counted_while_decoding() -> None:
    with pytest.raises(DataError, match="is longer than 2 seconds"):
        decode(wav_bytes(np.zeros(16_000 * 3)), 16_000, most_seconds=2)


def test_a_length_in_the_header_is_not_believed() -> None:
    """The file says a hundredth of what it holds: it is decoded up to the limit all the same."""
    data = bytearray(wav_bytes(np.zeros(16_000 * 3)))
    at = data.find(b"data") + 4
    data[at : at + 4] = (0xFFFF_FFFF).to_bytes(4, "little")
    with pytest.raises(DataError, match="is longer than 2 seconds"):
        decode(bytes(data), 16_000, most_seconds=2)


def test_bytes_are_counted_while_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence packs well: a small file that would fill the memory."""
    monkeypatch.setattr(decoder, "MAX_DECODED_BYTES", 2**20)
    small = coded(np.zeros(16_000 * 60), 16_000, "flac")
    assert len(small) < 2**16
    with pytest.raises(DataError, match="decodes to more than"):
        decode(small, 16_000)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(FLAC) - 1), st.integers(1, 255), st.booleans())
def test_a_changed_byte_gives_samples_or_one_reason(at: int, change: int, wav: bool) -> None:
    data = bytearray(wav_bytes(tone(300, 0.3)) if wav else FLAC)
    data[at % len(data)] ^= change
    with contextlib.suppress(DataError):
        assert np.isfinite(decode(bytes(data), 16_000, most_seconds=5)).all()
