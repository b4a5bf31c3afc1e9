"""Schedules: the learning rate over a run, as a multiple of the optimizer's.

Each is a plain function of the step and of the run's length, so that a resumed run needs no
state of it. A step that is skipped counts as a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from luthier.errors import Problem, SpecError
from luthier.spec import Spec

Schedule = Callable[[int], float]
"""From a step, the first being 0, to what the learning rate is multiplied by."""


class ConstantSpec(Spec):
    """The same learning rate throughout."""

    kind: Literal["constant"] = "constant"
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate rises to its full value."""

    def multiplier(self, step: int, total_steps: int) -> float:
        """The multiple at `step`."""
        return _warmup(step, self.warmup_steps)


class LinearSpec(Spec):
    """A straight line down."""

    kind: Literal["linear"] = "linear"
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate first rises to its full value."""
    final: float = Field(default=0.0, ge=0, le=1)
    """The multiple that the step after the last one would have."""

    def multiplier(self, step: int, total_steps: int) -> float:
        """The multiple at `step`.

        Example:
            >>> [LinearSpec(warmup_steps=2).multiplier(step, 6) for step in range(6)]
            [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
        """
        if step < self.warmup_steps:
            return _warmup(step, self.warmup_steps)
        share = (step - self.warmup_steps) / (total_steps - self.warmup_steps)
        return _between(1.0, self.final, share)


class CosineSpec(Spec):
    """Half a cosine down: slow, fast, slow.

    Source:
        Loshchilov and Hutter 2017, SGDR, equation 5, one period without restarts, 1608.03983.
    """

    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate first rises to its full value."""
    final: float = Field(default=0.0, ge=0, le=1)
    """The multiple that the step after the last one would have."""

    def multiplier(self, step: int, total_steps: int) -> float:
        """The multiple at `step`."""
        if step < self.warmup_steps:
            return _warmup(step, self.warmup_steps)
        share = (step - self.warmup_steps) / (total_steps - self.warmup_steps)
        return _between(1.0, self.final, _eased(share))


class WarmupStableDecaySpec(Spec):
    """Up, flat, down: the flat part may be made longer later, without training anew.

    Source:
        Hu et al. 2024, MiniCPM, section 4.2, 2404.06395. The shape 1 - sqrt: Hägele et al. 2024,
        section 3, 2405.18392.
    """

    kind: Literal["warmup_stable_decay"] = "warmup_stable_decay"
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rate first rises to its full value."""
    decay_fraction: float = Field(default=0.2, gt=0, le=1)
    """The share of all steps over which it goes down, at the end."""
    decay: Literal["linear", "sqrt"] = "linear"
    """The shape of the way down: a straight line, or 1 - sqrt, which falls fast at first."""
    final: float = Field(default=0.0, ge=0, le=1)
    """The multiple that the step after the last one would have."""

    def multiplier(self, step: int, total_steps: int) -> float:
        """The multiple at `step`."""
        if step < self.warmup_steps:
            return _warmup(step, self.warmup_steps)
        decay_steps = max(1, round(self.decay_fraction * total_steps))
        # Warmup and decay may not meet: the flat part is then empty, and the decay the shorter.
        start = max(self.warmup_steps, total_steps - decay_steps)
        share = max(0.0, (step - start) / (total_steps - start))
        return _between(1.0, self.final, math.sqrt(share) if self.decay == "sqrt" else share)


class OneCycleSpec(Spec):
    """Up along half a cosine to the full learning rate, and down along another, far below.

    Source:
        Smith and Topin 2018, Super-Convergence, 1708.07120; the shape is that of
        `torch.optim.lr_scheduler.OneCycleLR`, without its changing momentum.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise_fraction: float = Field(default=0.3, gt=0, lt=1)
    """The share of all steps over which it goes up."""
    start: float = Field(default=0.04, ge=0, le=1)
    """The multiple at the first step."""
    final: float = Field(default=4e-6, ge=0, le=1)
    """The multiple at the last step."""

    @model_validator(mode="after")
    def _moves(self) -> Self:
        if self.start == self.final == 1:
            raise ValueError('start and final are both 1; wanted {kind: "constant"} for that')
        return self

    def multiplier(self, step: int, total_steps: int) -> float:
        """The multiple at `step`."""
        peak = max(self.rise_fraction * total_steps - 1, 0.0)
        if step < peak:
            return _between(self.start, 1.0, _eased(step / peak))
        return _between(1.0, self.final, _eased((step - peak) / max(total_steps - 1 - peak, 1.0)))


ScheduleSpec = Annotated[
    ConstantSpec | LinearSpec | CosineSpec | WarmupStableDecaySpec | OneCycleSpec,
    Field(discriminator="kind"),
]


def schedule_for(spec: ScheduleSpec, total_steps: int) -> Schedule:
    """The schedule of a run of `total_steps`.

    Raises:
        SpecError: If its warmup is longer than the run.
    """
    warmup_steps = 0 if isinstance(spec, OneCycleSpec) else spec.warmup_steps
    if warmup_steps > total_steps or (warmup_steps == total_steps and spec.kind != "constant"):
        message = (
            f"got {warmup_steps}, but the run has only {total_steps} steps; wanted fewer, "
            "or a longer run"
        )
        raise SpecError([Problem(place="schedule.warmup_steps", message=message)])
    return lambda step: spec.multiplier(step, total_steps)


def _warmup(step: int, warmup_steps: int) -> float:
    """Rises by equal steps; the first one is not zero, and the last one is whole."""
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def _eased(share: float) -> float:
    """0 to 1 along half a cosine."""
    return (1 - math.cos(math.pi * share)) / 2


def _between(first: float, last: float, share: float) -> float:
    return first + (last - first) * share
