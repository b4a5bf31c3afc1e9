"""Sounds to try: waves, and files that hold them."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

CONTAINERS = {"flac": "flac", "mp3": "mp3", "m4a": "aac", "opus": "libopus"}


def tone(hertz: float, seconds: float, rate: int = 16_000) -> NDArray[np.float32]:
    """A sine of half the loudness that there can be."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def wav_bytes(samples: NDArray[np.floating], rate: int = 16_000) -> bytes:
    """A WAV file of 16 bits; `(T,)` or `(T, C)`."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return stream.getvalue()


def coded(samples: NDArray[np.floating], rate: int, container: str) -> bytes:
    """A file of another format, with one channel."""
    stream = io.BytesIO()
    forms = {"m4a": "ipod", "opus": "ogg"}
    with av.open(stream, "w", format=forms.get(container, container)) as file:
        track = file.add_stream(CONTAINERS[container], rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.rint(samples * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=track.codec_context.format,
            layout="mono",
            rate=rate,
            frame_size=track.codec_context.frame_size or 4096,
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(track.encode(part))
        file.mux(track.encode(None))
    return stream.getvalue()


def folder_of_tones(root: Path, each: int = 8) -> Path:
    """Low and high tones of different lengths, in class folders."""
    draw = np.random.default_rng(0)
    for label, (low, high) in {"low": (200, 400), "high": (1500, 3000)}.items():
        (root / label).mkdir(parents=True)
        for number in range(each):
            samples = tone(draw.uniform(low, high), draw.uniform(0.1, 0.4), 8000)
            samples = samples + 0.01 * draw.standard_normal(len(samples)).astype(np.float32)
            (root / label / f"{number}.wav").write_bytes(wav_bytes(samples, 8000))
    return root
