"""How a sound becomes what a network reads: kept with a finished model.

Dimension key, for the whole file:
    T  samples      N  frames      M  values of a frame
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from luthier.data.sound.decoder import MAX_SECONDS, Wave, decode
from luthier.data.sound.features import FeaturesSpec
from luthier.spec import Many, Spec

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

    def frames(self, wave_T: Tensor) -> Tensor:
        """`(N, M)`, before it is normalised."""
        return self.features(wave_T, self.rate)

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
