"""Features: against the published filters, transformers, and the formulas read a second time."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sound_files import tone

from luthier.data.sound.features import LogMelSpec, MfccSpec, WaveformSpec, deltas
from luthier.data.sound.mel import kaldi_filters, whisper_filters
from luthier.errors import DataError

DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[4].parent / "shared" / "data"))
FILTERS = DATA / "tokenizers" / "whisper_bpe" / "mel_filters.npz"


def noise(samples: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-0.4, 0.4, samples)


@pytest.mark.real_data
@pytest.mark.skipif(not FILTERS.exists(), reason=f"no {FILTERS}: LUTHIER_DATA")
@pytest.mark.parametrize("bins", [80, 128])
def test_whispers_filters_are_the_published_ones(bins: int) -> None:
    published = np.load(FILTERS)[f"mel_{bins}"]
    np.testing.assert_allclose(whisper_filters(bins, 16_000, 400), published, atol=1e-8)


def test_log_mel_is_that_of_transformers() -> None:
    """Its extractor fills up to 30 seconds, so the sound is as long."""
    transformers = pytest.importorskip("transformers")
    wave = (noise(480_000) * np.hanning(480_000)).astype(np.float32)
    theirs = transformers.WhisperFeatureExtractor()(wave, sampling_rate=16_000).input_features[0]
    ours = LogMelSpec()(torch.from_numpy(wave), 16_000).numpy()
    np.testing.assert_allclose(ours, np.asarray(theirs).T, atol=1e-5)


def kaldi_by_hand(wave: NDArray[np.float64], rate: int, bins: int) -> NDArray[np.float64]:
    """Kaldi's log-mel energies, frame by frame and filter by filter, in plain numpy."""
    window, hop = int(0.025 * rate), int(0.01 * rate)
    size = 1
    while size < window:
        size *= 2

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    low, step = mel(20.0), (mel(rate / 2) - mel(20.0)) / (bins + 1)
    rows = []
    for start in range(0, len(wave) - window + 1, hop):
        frame = wave[start : start + window] * 32768
        frame = frame - frame.mean()
        for place in range(window - 1, 0, -1):
            frame[place] -= 0.97 * frame[place - 1]
        frame[0] -= 0.97 * frame[0]
        angles = 2 * math.pi * np.arange(window) / (window - 1)
        frame = frame * (0.5 - 0.5 * np.cos(angles)) ** 0.85
        power = np.abs(np.fft.fft(np.concatenate([frame, np.zeros(size - window)]))) ** 2
        row = []
        for number in range(bins):
            left, centre, right = (low + (number + edge) * step for edge in range(3))
            energy = 0.0
            for place in range(size // 2):
                at = mel(place * rate / size)
                if left < at < right:
                    rising, falling = (at - left) / (centre - left), (right - at) / (right - centre)
                    energy += power[place] * (rising if at <= centre else falling)
            row.append(math.log(max(energy, 1.1920928955078125e-07)))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(("rate", "bins"), [(16_000, 40), (8000, 23)])
def test_kaldis_log_mel_is_the_formula(rate: int, bins: int) -> None:
    wave = noise(rate // 10)
    ours = LogMelSpec(bins=bins, convention="kaldi")(torch.from_numpy(wave), rate).numpy()
    np.testing.assert_allclose(ours, kaldi_by_hand(wave, rate, bins), rtol=1e-9, atol=1e-9)


def test_mfcc_is_the_liftered_cosine_transform_of_it() -> None:
    wave, bins, count = noise(4000), 23, 13
    log_mel = kaldi_by_hand(wave, 16_000, bins)
    wanted = np.zeros((len(log_mel), count))
    for order in range(count):
        scale = math.sqrt((1 if order == 0 else 2) / bins)
        lifter = 1 + 11 * math.sin(math.pi * order / 22)
        for number in range(bins):
            cosine = math.cos(math.pi / bins * (number + 0.5) * order)
            wanted[:, order] += scale * lifter * cosine * log_mel[:, number]
    ours = MfccSpec()(torch.from_numpy(wave), 16_000).numpy()
    np.testing.assert_allclose(ours, wanted, rtol=1e-9, atol=1e-9)


def test_deltas_of_a_line_are_its_slope() -> None:
    line = torch.arange(20, dtype=torch.float64)[:, None] * 3
    np.testing.assert_allclose(deltas(line)[2:-2], 3.0)
    assert MfccSpec(deltas=2)(torch.from_numpy(noise(4000)), 16_000).shape[1] == 39


def test_a_tone_is_loudest_in_the_filter_around_it() -> None:
    for hertz in (300, 1000, 3000):
        frames = LogMelSpec()(torch.from_numpy(tone(hertz, 0.5)), 16_000)
        peaks = whisper_filters(80, 16_000, 400).argmax(1) * 40
        assert abs(peaks[int(frames[20].argmax())] - hertz) <= 0.1 * hertz


@pytest.mark.parametrize(
    "spec", [LogMelSpec(), LogMelSpec(convention="kaldi"), MfccSpec(deltas=1), WaveformSpec()]
)
@pytest.mark.parametrize("samples", [1, 7, 399, 400, 401, 5000])
def test_every_length_has_frames_of_the_width(spec: LogMelSpec, samples: int) -> None:
    frames = spec(torch.from_numpy(noise(samples)), 16_000)
    assert len(frames) >= 1
    assert frames.shape[1] == spec.width(16_000)
    assert bool(torch.isfinite(frames).all())


def test_silence_is_finite() -> None:
    for spec in (LogMelSpec(), LogMelSpec(convention="kaldi"), MfccSpec()):
        assert bool(torch.isfinite(spec(torch.zeros(4000), 16_000)).all())


def test_too_many_bins_are_refused_with_fewer() -> None:
    for filters in (whisper_filters, kaldi_filters):
        with pytest.raises(DataError, match="would hold no frequency; wanted fewer, such as 64"):
            filters(128, 8000, 200)
