"""Which evaluation was the best so far."""

from __future__ import annotations

from luthier.training.state import LoopState


class Best:
    """The best headline, the step it was measured at, and the evaluations since."""

    def __init__(self, start: LoopState, higher_is_better: bool) -> None:
        self.step = start.best_step
        self.value = start.best_value
        self.evaluations_since = start.evaluations_since_best
        self._sign = 1 if higher_is_better else -1

    def is_improved(self, value: float, step: int) -> bool:
        """Whether the headline `value` is better than all before; it is then the best.

        Of equal ones the first is the best.
        """
        if self.value is not None and self._sign * value <= self._sign * self.value:
            self.evaluations_since += 1
            return False
        self.step, self.value, self.evaluations_since = step, value, 0
        return True
