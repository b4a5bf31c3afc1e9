"""How a sound becomes what a network reads: kept with a finished model.

Dimension key, for the whole file:
    T  samples      N  frames      M  values of a frame
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from luthier.data.sound.decoder import MAX_SECONDS, Wave, decode
from luthier.data.sound.features import FeaturesSpec
from luthier.spec import Many, Spec

CUT_IN = 0.2
"""A long sound is cut in the last fifth of a window …"""
QUIET = 0.2
"""… where so many seconds are the quietest."""
LEAST_SPREAD = 1e-5
"""Where nothing varies, nothing is divided by less."""


class SoundForm(Spec):
    """From a file to a matrix: `(features(samples) - mean) / std`."""

    kind: Literal["sound"] = "sound"
    rate: int = Field(ge=1)
    """Samples a second."""
    features: FeaturesSpec
    """What is read of the samples."""
    normalize: Literal["train", "sound", "none"]
    """What values are brought to a mean of 0 and a spread of 1 by."""
    mean: Many[float] = ()
    """Of each value of a frame, over all training sounds; where normalize is train."""
    std: Many[float] = ()
    """The same."""
    seconds: float = Field(default=30.0, gt=0)
    """About the length of the longest sound that was learned from."""
    fill_seconds: float | None = Field(default=None, gt=0, le=600)
    """Each sound is filled up with silence to this length; none leaves them as long as they are."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wanted = self.width if self.normalize == "train" else 0
        if not len(self.mean) == len(self.std) == wanted:
            raise ValueError(f"got {len(self.mean)} means, {len(self.std)} stds; wanted {wanted}")
        return self

    @property
    def width(self) -> int:
        """M."""
        return self.features.width(self.rate)

    def wave(self, data: bytes, most_seconds: float = MAX_SECONDS) -> Wave:
        """The samples of a file; see `decode`."""
        return decode(data, self.rate, most_seconds=most_seconds)

    @property
    def filled_frames(self) -> int | None:
        """Frames of a sound that is filled up; none where none is."""
        if self.fill_seconds is None:
            return None
        return round(self.fill_seconds * self.rate) // self.features.samples(self.rate)[1]

    def frames(self, wave_T: Tensor) -> Tensor:
        """`(N, M)`, before it is normalised.

        Where sounds are filled up, as if that were done, but with a single frame of the silence:
        see `filled`.
        """
        most = self.filled_frames
        if most is None:
            return self.features(wave_T, self.rate)
        window, hop = self.features.samples(self.rate)
        heard = -(-(len(wave_T) + window) // hop) + 1
        wanted = most * hop if heard >= most else heard * hop + window
        wave_T = F.pad(wave_T[:wanted], (0, max(0, wanted - len(wave_T))))
        return self.features(wave_T, self.rate)[: min(heard, most)]

    def filled(self, frames_NM: Tensor) -> Tensor:
        """The frames with those of the silence behind them: all are as its first."""
        most = self.filled_frames
        if most is None or len(frames_NM) >= most:
            return frames_NM
        return torch.cat([frames_NM, frames_NM[-1:].expand(most - len(frames_NM), -1)])

    def windows(self, wave_T: Wave) -> list[Wave]:
        """A sound in pieces that can be filled up; itself where none is.

        Cut where it is quietest, in the last part of what fits, so that no word is cut in two.
        """
        if self.fill_seconds is None:
            return [wave_T]
        most, quiet = round(self.fill_seconds * self.rate), max(1, round(QUIET * self.rate))
        found = []
        while len(wave_T) > most:
            last = wave_T[round((1 - CUT_IN) * most) : most]
            loud = np.convolve(np.square(last, dtype=np.float64), np.ones(quiet), "valid")
            cut = most - len(last) + int(loud.argmin()) + quiet // 2
            found.append(wave_T[:cut])
            wave_T = wave_T[cut:]
        return [*found, wave_T]

    def normal(self, frames_NM: Tensor) -> Tensor:
        """`(N, M)`, normalised; a new tensor."""
        match self.normalize:
            case "none":
                return frames_NM.clone()
            case "train":
                mean, std = self._figures
                return (frames_NM - mean) / std
            case "sound":
                mean_M = frames_NM.mean(0)
                std_M = frames_NM.std(0, correction=0).clamp(min=LEAST_SPREAD)
                return (frames_NM - mean_M) / std_M

    @cached_property
    def _figures(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.mean), torch.tensor(self.std)


def figures(frames_SM: np.ndarray, spans: list[tuple[int, int]]) -> dict[str, tuple[float, ...]]:
    """The mean and the standard deviation of each value over some sounds.

    Args:
        frames_SM: The frames of all sounds.
        spans: Where the sounds begin and end.
    """
    width = frames_SM.shape[1]
    total, squares, count = np.zeros(width), np.zeros(width), 0
    for start, stop in spans:
        part = frames_SM[start:stop].astype(np.float64)
        total += part.sum(0)
        squares += np.square(part).sum(0)
        count += len(part)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, LEAST_SPREAD**2))
    return {"mean": tuple(mean.round(6).tolist()), "std": tuple(std.round(6).tolist())}
