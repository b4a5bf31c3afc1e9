"""Where a run is: all that a resumed one needs beside its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LoopState:
    """A position in a run, as plain numbers.

    No random state is among them: what a step draws is a function of (seed, step).
    """

    step: int = 0
    """Steps done, skipped ones included: the number of the next step."""
    skipped: int = 0
    """Steps that were skipped since their loss or gradient was not finite."""
    skipped_in_a_row: int = 0
    """How many of them were the last ones."""
    loss_sum: float = 0.0
    """Of the steps since the last row of metrics.jsonl."""
    loss_count: float = 0.0
    """Of the same steps."""
    loss_parts: Mapping[str, float] = field(default_factory=dict)
    """Of the same steps: what of the sum is not the task's own loss, by name."""
    evaluated_step: int = 0
    """The step of the last evaluation; 0 before the first."""
    best_step: int | None = None
    """The step of the evaluation with the best headline."""
    best_value: float | None = None
    """That headline."""
    evaluations_since_best: int = 0
    """Evaluations after it."""
    rows: int = 0
    """Rows trained on."""
    seconds: float = 0.0
    """All time in the loop, over all parts of the run."""
    step_seconds: float = 0.0
    """The time of the training steps among it: without evaluations and checkpoints."""
    waiting_seconds: float = 0.0
    """The time among that in which the loop waited for data."""

    @property
    def rows_per_second(self) -> float:
        """The rate while training steps ran."""
        return self.rows / self.step_seconds if self.step_seconds else 0.0

    @property
    def waiting_share(self) -> float:
        """The share of the training steps' time spent waiting for data."""
        return self.waiting_seconds / self.step_seconds if self.step_seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LoopState:
        """What `to_json` gave; a key that is missing or unknown is a broken checkpoint.

        Example:
            >>> LoopState.from_json(LoopState(step=7).to_json()).step
            7
        """
        fields = set(cls.__dataclass_fields__)
        assert set(data) == fields, f"a loop state of other keys: {sorted(set(data) ^ fields)}"
        return cls(**data)
