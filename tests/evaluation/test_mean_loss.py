"""The loss of an evaluation is the mean over the targets, of which an example may have several."""

from __future__ import annotations

import numpy as np
import pytest

from luthier.evaluation.evaluate import _mean_loss

LOSS = np.array([1.0, 3.0, 0.0])


def test_examples_weigh_as_their_targets() -> None:
    found = _mean_loss({"loss": LOSS, "targets": np.array([30, 10, 0])})
    assert found.value == pytest.approx((30 * 1 + 10 * 3) / 40)
    assert found.n == 3
    assert found.low < found.value < found.high


def test_without_targets_all_weigh_the_same() -> None:
    assert _mean_loss({"loss": LOSS}).value == pytest.approx(4 / 3)
