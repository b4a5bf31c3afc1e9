"""From values to places on a chart, and the round values that an axis names."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high`, laid out from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    """Whether equal distances are equal ratios."""

    def __call__(self, value: float) -> float:
        """The place of `value`; one outside of the scale is moved to its end."""
        value = min(max(value, self.low), self.high)
        low, high, value = self.low, self.high, value
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.stop - self.start)

    def ticks(self, wanted: int = 5) -> tuple[float, ...]:
        """About `wanted` round values, from `low` to `high`."""
        return _log_ticks(self, wanted) if self.log else _ticks(self, wanted)


def scale_of(
    low: float, high: float, start: float, stop: float, *, log: bool = False, round_out: bool = True
) -> Scale:
    """A scale that holds `low` to `high`, widened where they are one, or to round ends."""
    if low == high:
        margin = abs(low) * 0.1 or 1.0
        low, high = (low / 1.5, high * 1.5) if log else (low - margin, high + margin)
    scale = Scale(low, high, start, stop, log)
    if log or not round_out:
        return scale
    step = _step(scale, 5)
    ends = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Scale(*ends, start, stop, log)


def _step(scale: Scale, wanted: int) -> float:
    rough = (scale.high - scale.low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)


def _ticks(scale: Scale, wanted: int) -> tuple[float, ...]:
    step = _step(scale, wanted)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return tuple(round(number * step, 12) for number in range(first, last + 1))


def _log_ticks(scale: Scale, wanted: int) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        values = [factor * 10.0**power for power in powers for factor in factors]
        inside = [value for value in values if scale.low <= value <= scale.high]
        if len(inside) >= min(wanted - 1, 3):
            break
    every = math.ceil(len(inside) / (wanted + 2)) or 1
    return tuple(inside[::every]) or (scale.low, scale.high)
