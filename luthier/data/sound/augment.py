"""Augmentation: random changes of training sounds, declared in a recipe.

Each value that is drawn is a function of (seed, epoch, row, name of the augmentation).

Dimension key, for the whole file:
    T  samples      N  frames      M  values of a frame
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from luthier.data.randomness import uniforms
from luthier.data.sound.resample import resampled
from luthier.spec import Many, Spec

Factor = Annotated[float, Field(ge=0.5, le=2.0)]
Chance = Annotated[float, Field(gt=0, le=1)]
Of = Literal["samples", "features"]


class Draw:
    """Random values for one row and one augmentation.

    Args:
        seed: Of the run.
        epoch: From 0.
        row: Its number in the split.
        stream: The name of the augmentation.
    """

    def __init__(self, seed: int, epoch: int, row: int, stream: str) -> None:
        self._of = (seed, epoch, np.array([row], dtype=np.int64), stream)

    def uniform(self, count: int) -> NDArray[np.float64]:
        """`count` values from 0 to below 1; the first of them are the same for any count."""
        drawn: NDArray[np.float64] = uniforms(*self._of, count)[0]
        return drawn


class SpeedSpec(Spec):
    """Plays the sound faster or slower, which changes its pitch too.

    Source:
        Ko et al. 2015, "Audio augmentation for speech recognition", section 2.
    """

    kind: Literal["speed"] = "speed"
    of: ClassVar[Of] = "samples"
    factors: Many[Factor] = (0.9, 1.0, 1.1)
    """One of these is drawn for each sound: 1.1 is a tenth faster."""

    @field_validator("factors")
    @classmethod
    def _some(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if not factors or set(factors) == {1.0}:
            raise ValueError(f"got {list(factors)}; wanted some other than 1")
        return factors

    def apply(self, x_T: Tensor, draw: Draw) -> Tensor:
        """The sound at another speed."""
        factor = self.factors[int(draw.uniform(1)[0] * len(self.factors))]
        ratio = Fraction(factor).limit_denominator(100)
        return resampled(x_T, ratio.denominator, ratio.numerator)


class NoiseSpec(Spec):
    """Adds white noise."""

    kind: Literal["noise"] = "noise"
    of: ClassVar[Of] = "samples"
    probability: Chance = 1.0
    """The share of sounds that get some."""
    snr: Many[float] = (10.0, 40.0)
    """Of the sound to the noise, in decibels: from the loudest noise to the softest."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if len(self.snr) != 2 or not -40 <= self.snr[0] <= self.snr[1] <= 120:
            raise ValueError(
                f"snr: got {list(self.snr)}; wanted [lowest, highest] in decibels, -40 to 120"
            )
        return self

    def apply(self, x_T: Tensor, draw: Draw) -> Tensor:
        """The sound with noise."""
        half = -(-len(x_T) // 2)
        drawn = draw.uniform(2 + 2 * half)
        if drawn[0] >= self.probability:
            return x_T
        decibels = self.snr[0] + (self.snr[1] - self.snr[0]) * drawn[1]
        # Normal values from uniform ones: Box and Muller 1958.
        radius = np.sqrt(-2 * np.log1p(-drawn[2 : 2 + half]))
        angle = 2 * np.pi * drawn[2 + half :]
        normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[: len(x_T)]
        loudness = x_T.square().mean().sqrt() * 10 ** (-decibels / 20)
        noisy: Tensor = x_T + torch.from_numpy(normal).to(x_T.dtype) * loudness
        return noisy


class SpecAugmentSpec(Spec):
    """Hides some bands of frequencies and some stretches of time of the features.

    What is hidden becomes the mean of the sound's features.

    Source:
        Park et al. 2019, 1904.08779, section 2, without time warping, which adds little there.
    """

    kind: Literal["spec_augment"] = "spec_augment"
    of: ClassVar[Of] = "features"
    frequency_masks: int = Field(default=2, ge=0, le=20)
    """Bands that are hidden."""
    frequency_share: float = Field(default=0.3, ge=0, lt=1)
    """The most of all bins that one of them takes."""
    time_masks: int = Field(default=2, ge=0, le=20)
    """Stretches that are hidden."""
    time_share: float = Field(default=0.1, ge=0, lt=1)
    """The most of a sound that one of them takes."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.frequency_masks * self.frequency_share or self.time_masks * self.time_share):
            raise ValueError("hides nothing; give frequency_masks or time_masks with a share")
        return self

    def apply(self, x_NM: Tensor, draw: Draw) -> Tensor:
        """The features, some of them hidden."""
        drawn = draw.uniform(2 * (self.frequency_masks + self.time_masks))
        mean, y_NM = x_NM.mean(), x_NM.clone()
        for mask in range(self.frequency_masks):
            start, stop = _span(x_NM.shape[1], self.frequency_share, drawn[2 * mask :][:2])
            y_NM[:, start:stop] = mean
        for mask in range(self.frequency_masks, self.frequency_masks + self.time_masks):
            start, stop = _span(x_NM.shape[0], self.time_share, drawn[2 * mask :][:2])
            y_NM[start:stop] = mean
        return y_NM


SoundAugment = Annotated[SpeedSpec | NoiseSpec | SpecAugmentSpec, Field(discriminator="kind")]
"""Changes one sound."""


def sound_streams(augment: Sequence[SpeedSpec | NoiseSpec | SpecAugmentSpec]) -> list[str]:
    """The name of each augmentation's stream of random values: its kind, numbered if repeated.

    Example:
        >>> sound_streams([SpeedSpec(), NoiseSpec()])
        ['augment/speed/1', 'augment/noise/1']
    """
    seen: Counter[str] = Counter()
    names = []
    for spec in augment:
        seen[spec.kind] += 1
        names.append(f"augment/{spec.kind}/{seen[spec.kind]}")
    return names


def _span(size: int, share: float, drawn: np.ndarray) -> tuple[int, int]:
    """A stretch of up to `share` of `size` places."""
    width = int(drawn[0] * (int(share * size) + 1))
    start = int(drawn[1] * (size - width + 1))
    return start, start + width
