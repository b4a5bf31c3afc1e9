"""Rotary's angles made smaller, so that a network reads longer texts than it was trained on.

Dimension key, for the whole file:
    F  pairs that are turned
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from luthier.errors import ShapeError
from luthier.model.block import Size
from luthier.spec import Many, Spec

Factor = Annotated[float, Field(ge=1, le=1e6)]
Stretch = Annotated[float, Field(gt=0, le=1e6)]
Length = Annotated[float, Field(gt=0, le=100)]


class LinearScalingSpec(Spec):
    """All angles divided by a factor: a longer text looks like a short one.

    Source:
        Chen et al. 2023, 2306.15595.
    """

    kind: Literal["linear"] = "linear"
    factor: Factor
    """How many times longer the text may be."""

    def scaled(self, slow_F: Tensor, base: float, *, long: bool) -> Tensor:
        """The angles from one position to the next."""
        return slow_F / self.factor


class Llama3ScalingSpec(Spec):
    """Slow turns divided by a factor, fast ones left, those between in between, as in Llama 3.1.

    Source:
        `rope_scaling` of the released configurations; Dubey et al. 2024, 2407.21783.
    """

    kind: Literal["llama3"] = "llama3"
    factor: Factor = 8.0
    """How many times longer the text may be."""
    low_frequency: float = Field(default=1.0, gt=0)
    """What turns at most so often in the trained context is divided by the whole factor."""
    high_frequency: float = Field(default=4.0, gt=0)
    """What turns at least so often in the trained context is left as it is."""
    trained_context: Size = 8192
    """The context of the training before, in tokens."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _must_be_in_order(self.low_frequency, self.high_frequency)
        return self

    def scaled(self, slow_F: Tensor, base: float, *, long: bool) -> Tensor:
        """The angles from one position to the next."""
        turns = self.trained_context * slow_F / (2 * math.pi)
        span = self.high_frequency - self.low_frequency
        left = ((turns - self.low_frequency) / span).clamp(0, 1)
        return (1 - left) * slow_F / self.factor + left * slow_F


class YarnScalingSpec(Spec):
    """Slow turns divided by a factor, fast ones left, those between by their place among the pairs;
    and turned queries and keys made longer, so that scores are sharper.

    Source:
        Peng et al. 2023, sections 3.2 to 3.4, 2309.00071.
    """

    kind: Literal["yarn"] = "yarn"
    factor: Factor
    """How many times longer the text may be."""
    low_frequency: float = Field(default=1.0, gt=0)
    """What turns at most so often in the trained context is divided by the whole factor; the
    paper's alpha."""
    high_frequency: float = Field(default=32.0, gt=0)
    """What turns at least so often in the trained context is left as it is; the paper's beta."""
    trained_context: Size
    """The context of the training before, in tokens."""
    rounded: bool = True
    """Whether the first and the last pair of those between are rounded outwards, to whole ones."""
    length: Length | None = None
    """What turned queries and keys are multiplied by; none takes `1 + 0.1 ln(factor)`."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _must_be_in_order(self.low_frequency, self.high_frequency)
        return self

    def scaled(self, slow_F: Tensor, base: float, *, long: bool) -> Tensor:
        """The angles from one position to the next."""
        pairs = len(slow_F)
        first, last = (
            pairs * math.log(self.trained_context / (2 * math.pi * turns)) / math.log(base)
            for turns in (self.high_frequency, self.low_frequency)
        )
        if self.rounded:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, 2 * pairs - 1)
        if first == last:
            last += 0.001
        index_F = torch.arange(pairs, dtype=torch.float32, device=slow_F.device)
        divided_F = ((index_F - first) / (last - first)).clamp(0, 1)
        return slow_F / self.factor * divided_F + slow_F * (1 - divided_F)

    @property
    def longer(self) -> float:
        """What turned queries and keys are multiplied by."""
        return 1 + 0.1 * math.log(self.factor) if self.length is None else self.length


class LongRopeScalingSpec(Spec):
    """Each pair's angle divided by a factor of its own: of texts within the trained context by one
    set, of longer ones by another; and turned queries and keys made longer, as in Phi-3.

    A text is longer by its own length, whatever else is in the batch; one that is written, by the
    room that it has, since what was read cannot be turned anew.

    Source:
        Ding et al. 2024, 2402.13753.
    """

    kind: Literal["longrope"] = "longrope"
    short: Many[Stretch]
    """For each pair, what divides its angle in texts within the trained context."""
    long: Many[Stretch]
    """The same in longer ones."""
    trained_context: Size
    """The context of the training before, in tokens."""
    length: Length = 1.0
    """What turned queries and keys are multiplied by; Phi-3 has `sqrt(1 + ln(s) / ln(C))`, where s
    is how many times longer texts may be than C, the trained context."""

    def scaled(self, slow_F: Tensor, base: float, *, long: bool) -> Tensor:
        """The angles from one position to the next.

        Raises:
            ShapeError: If there are not as many factors as pairs.
        """
        factors = self.long if long else self.short
        if len(factors) != len(slow_F):
            raise ShapeError(
                f"rotary_scaling has {len(factors)} {'long' if long else 'short'} factors; wanted "
                f"{len(slow_F)}, one for each pair of features that is turned"
            )
        return slow_F / torch.tensor(factors, device=slow_F.device)

    @property
    def longer(self) -> float:
        """What turned queries and keys are multiplied by."""
        return self.length


Scaling = LinearScalingSpec | Llama3ScalingSpec | YarnScalingSpec | LongRopeScalingSpec
RotaryScaling = Annotated[Scaling, Field(discriminator="kind")]
"""How angles are made smaller, so that a network reads longer texts than it was trained on."""


def _must_be_in_order(low: float, high: float) -> None:
    if high <= low:
        raise ValueError(f"high_frequency: got {high:g}, wanted more than low_frequency, {low:g}")
