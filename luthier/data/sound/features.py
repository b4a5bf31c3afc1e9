"""Features: what a network reads of a sound, a vector for each moment of it.

Dimension key, for the whole file:
    T  samples      N  frames      W  samples of a frame      K  frequencies      M  bins
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from luthier.data.sound.mel import kaldi_filters, whisper_filters
from luthier.spec import Spec

INT16 = 2.0**15
"""Kaldi reads samples as whole numbers of 16 bits."""
PREEMPHASIS = 0.97
POVEY = 0.85
"""The power of Hann's window that makes Povey's."""
WHISPER_FLOOR = 1e-10
WHISPER_RANGE = 8.0
"""Powers of ten below the loudest value that are kept."""
KALDI_FLOOR = float(np.finfo(np.float32).eps)

Seconds = Annotated[float, Field(gt=0, le=1)]


class FramesSpec(Spec):
    """A sound cut into frames that overlap."""

    window_seconds: Seconds = 0.025
    """The length of a frame."""
    hop_seconds: Seconds = 0.01
    """From one frame to the next."""

    @model_validator(mode="after")
    def _overlap(self) -> Self:
        if self.hop_seconds > self.window_seconds:
            raise ValueError(
                f"hop_seconds: got {self.hop_seconds}, more than window_seconds "
                f"({self.window_seconds}), so that parts would be left out"
            )
        return self

    def samples(self, rate: int) -> tuple[int, int]:
        """Samples of a frame, and from one to the next."""
        window, hop = round(self.window_seconds * rate), round(self.hop_seconds * rate)
        return max(window, 2), max(hop, 1)


class WaveformSpec(FramesSpec):
    """The samples themselves: each frame is a vector of them. A dense layer may learn filters."""

    kind: Literal["waveform"] = "waveform"

    def width(self, rate: int) -> int:
        """Values of a frame."""
        return self.samples(rate)[0]

    def __call__(self, wave_T: Tensor, rate: int) -> Tensor:
        """`(N, W)`."""
        return framed(wave_T, *self.samples(rate))


class LogMelSpec(FramesSpec):
    """The logarithm of the energy in each band of a mel scale."""

    kind: Literal["log_mel"] = "log_mel"
    bins: int = Field(default=80, ge=2, le=512)
    """Bands. Fewer at a low sampling rate: 40 at 8,000 samples a second."""
    convention: Literal["whisper", "kaldi"] = "whisper"
    """Whose numbers these are: Whisper's (Slaney's filters, a frame around each moment, at most
    eight powers of ten) or Kaldi's (Povey's window, pre-emphasis, no dither, frames that lie
    inside of the sound)."""

    def width(self, rate: int) -> int:
        """Values of a frame."""
        return self.bins

    def __call__(self, wave_T: Tensor, rate: int) -> Tensor:
        """`(N, M)`."""
        window, hop = self.samples(rate)
        if self.convention == "whisper":
            return whisper_log_mel(wave_T, rate, self.bins, window, hop)
        return kaldi_log_mel(wave_T, rate, self.bins, window, hop)


class MfccSpec(FramesSpec):
    """Cepstral coefficients: the shape of Kaldi's log-mel spectrum in few numbers.

    With the liftering of Kaldi, whose first coefficient is the zeroth of the cosine transform.
    """

    kind: Literal["mfcc"] = "mfcc"
    coefficients: int = Field(default=13, ge=2, le=128)
    """Numbers of a frame; at most as many as bins."""
    bins: int = Field(default=23, ge=2, le=512)
    """Bands that they are made from."""
    deltas: Literal[0, 1, 2] = 0
    """Whether their change stands beside them (1), and the change of it (2), over two frames on
    each side."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.coefficients > self.bins:
            raise ValueError(
                f"coefficients: got {self.coefficients} of {self.bins} bins; wanted at most as many"
            )
        return self

    def width(self, rate: int) -> int:
        """Values of a frame."""
        return self.coefficients * (1 + self.deltas)

    def __call__(self, wave_T: Tensor, rate: int) -> Tensor:
        """`(N, coefficients * (1 + deltas))`."""
        log_mel_NM = kaldi_log_mel(wave_T, rate, self.bins, *self.samples(rate))
        parts = [log_mel_NM @ _cosines(self.bins, self.coefficients).to(log_mel_NM.dtype)]
        for _ in range(self.deltas):
            parts.append(deltas(parts[-1]))
        return torch.cat(parts, 1)


FeaturesSpec = Annotated[LogMelSpec | MfccSpec | WaveformSpec, Field(discriminator="kind")]
"""What a network may read of a sound."""


def whisper_log_mel(wave_T: Tensor, rate: int, bins: int, window: int, hop: int) -> Tensor:
    """Log-mel energies in Whisper's convention: `(N, M)`, N = T // hop.

    Periodic Hann window around each moment, the ends mirrored; power; Slaney's filters;
    `log10`, at least 1e-10 and at most eight below the largest; then `(x + 4) / 4`.

    Source:
        Radford et al. 2022, 2212.04356, section 2.2.
    """
    # Behind the end nothing is missed: the frame around it is not used.
    side = window // 2
    padded = _mirrored(wave_T, side, side)
    hann = torch.hann_window(window, dtype=wave_T.dtype)
    frames_NW = padded.unfold(0, window, hop)[: max(len(wave_T) // hop, 1)] * hann
    power_NK = torch.fft.rfft(frames_NW).abs().square()
    filters_MK = torch.tensor(whisper_filters(bins, rate, window), dtype=wave_T.dtype)
    mel_NM = (power_NK @ filters_MK.T).clamp(min=WHISPER_FLOOR).log10()
    scaled: Tensor = (mel_NM.clamp(min=mel_NM.max() - WHISPER_RANGE) + 4) / 4
    return scaled


def kaldi_log_mel(wave_T: Tensor, rate: int, bins: int, window: int, hop: int) -> Tensor:
    """Log-mel energies in Kaldi's convention: `(N, M)`, N = 1 + (T - W) // hop.

    Of each frame its mean is taken away, `x[t] -= 0.97 x[t - 1]`, and Povey's window is laid on
    it; then power of a transform of the next power of two, triangles on the mel axis, `ln`. No
    dither: the same sound gives the same numbers.

    Source:
        Kaldi, feat/feature-window.cc and feat/feature-fbank.cc, with `--dither=0`.
    """
    frames_NW = framed(wave_T * INT16, window, hop)
    frames_NW = frames_NW - frames_NW.mean(1, keepdim=True)
    before_NW = torch.cat([frames_NW[:, :1], frames_NW[:, :-1]], 1)
    povey = torch.hann_window(window, periodic=False, dtype=wave_T.dtype) ** POVEY
    frames_NW = (frames_NW - PREEMPHASIS * before_NW) * povey
    size = 2 ** math.ceil(math.log2(window))
    power_NK = torch.fft.rfft(frames_NW, n=size).abs().square()
    filters_MK = torch.tensor(kaldi_filters(bins, rate, size), dtype=wave_T.dtype)
    log_mel_NM: Tensor = (power_NK @ filters_MK.T).clamp(min=KALDI_FLOOR).log()
    return log_mel_NM


def framed(wave_T: Tensor, window: int, hop: int) -> Tensor:
    """The frames that lie inside of a sound, `(N, W)`; one with zeros behind it, if it is short."""
    if len(wave_T) < window:
        wave_T = F.pad(wave_T, (0, window - len(wave_T)))
    return wave_T.unfold(0, window, hop)


def deltas(x_NM: Tensor, reach: int = 2) -> Tensor:
    """How each value changes over time, by a line through `reach` frames on each side; the first
    and the last frame stand for those that are missing.

    Source:
        Young et al., "The HTK Book", section 5.9.
    """
    count = len(x_NM)
    padded = torch.cat([x_NM[:1].expand(reach, -1), x_NM, x_NM[-1:].expand(reach, -1)])
    change = torch.zeros_like(x_NM)
    for step in range(1, reach + 1):
        ahead = padded[reach + step : reach + step + count]
        behind = padded[reach - step : reach - step + count]
        change = change + step * (ahead - behind)
    return change / (2 * sum(step * step for step in range(1, reach + 1)))


@functools.lru_cache(maxsize=16)
def _cosines(bins: int, coefficients: int, lifter: float = 22.0) -> Tensor:
    """Type-2 cosine transform, orthonormal, with the liftering `1 + L/2 sin(pi i / L)`."""
    places_M = (torch.arange(bins, dtype=torch.float64) + 0.5) * math.pi / bins
    orders = torch.arange(coefficients, dtype=torch.float64)
    table = torch.cos(places_M[:, None] * orders) * math.sqrt(2 / bins)
    table[:, 0] = math.sqrt(1 / bins)
    return table * (1 + lifter / 2 * torch.sin(math.pi * orders / lifter))


def _mirrored(wave_T: Tensor, before: int, after: int) -> Tensor:
    """The sound with its ends mirrored; a very short one with zeros behind it first."""
    short = max(before, after) + 1 - len(wave_T)
    if short > 0:
        wave_T = F.pad(wave_T, (0, short))
    return F.pad(wave_T[None], (before, after), mode="reflect")[0]
