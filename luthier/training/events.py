"""What the loop tells: frozen values, never itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from luthier.metrics.interval import Metric

StopReason = Literal["finished", "max_minutes", "patience", "signal"]
"""finished: all steps are done · max_minutes: the time is up · patience: no better headline for
so many evaluations · signal: somebody asked for it."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """The loop begins, or goes on."""

    step: int
    """Steps done already."""
    total_steps: int
    steps_per_epoch: int


@dataclass(frozen=True, kw_only=True)
class Ticked:
    """A moment has passed: for whoever watches. How many there are depends on the machine."""

    step: int
    epoch: float
    loss: float | None
    """The mean since the last `Logged`; none if every step was skipped."""
    rows_per_second: float
    waiting_share: float
    seconds_left: float
    """Of training steps, at the present rate."""


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What `log_every_steps` steps were like."""

    step: int
    """Steps done."""
    epoch: float
    """Epochs done."""
    loss: float | None
    """The mean over the targets of the steps; none if every step was skipped."""
    loss_parts: Mapping[str, float]
    """What of that mean is not the task's own loss, by name: `load_balance`."""
    learning_rate: float
    """At the last of them."""
    gradient_norm: float
    """At the last of them, before clipping."""
    rows_per_second: float
    waiting_share: float
    skipped: int
    """Steps skipped since the run began."""
    seconds: float
    """In the loop since the run began, over all of its parts."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The network was measured on the validation split."""

    step: int
    epoch: float
    headline: str
    """The metric that decides: a key of `metrics`."""
    metrics: Mapping[str, Metric]
    loss: Metric
    best: bool
    """Whether the headline is the best so far."""
    samples: Mapping[str, str] = field(default_factory=dict)
    """What the network wrote after each prompt."""


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A checkpoint is on the disk."""

    step: int
    best: bool
    """Whether it is the best so far."""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The loop ends."""

    step: int
    reason: StopReason
    seconds: float
    """In the loop since the run began, over all of its parts."""


Event = Started | Ticked | Logged | Evaluated | Saved | Stopped

Hook = Callable[[Event], None]
"""Whoever wants to know; called in the loop's thread, so it had better be quick."""
