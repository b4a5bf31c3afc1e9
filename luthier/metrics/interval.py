"""A measured value with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A value measured on a finite sample, and the 95 % confidence interval around it."""

    value: float
    low: float
    high: float
    n: int
    """Examples that the value was measured on."""

    def to_json(self) -> dict[str, float | int]:
        """As `evaluate --json` prints it."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}
