"""Which classes are taken for which.

Dimension key, for the whole file:
    N  examples     K  classes     R  resamples     C  cells of the confusion that are not empty
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from luthier.metrics.interval import Metric, resampled, wilson

RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """How one class fared. A score is none where it would divide by nothing."""

    label: int
    examples: int
    """Examples of the class."""
    predicted: int
    """Examples that were said to be of the class."""
    precision: Metric | None
    """The share of what was said to be of the class that is."""
    recall: Metric | None
    """The share of the class that was found."""
    f1: Metric | None
    """The harmonic mean of precision and recall."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        scores = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        counts = {"label": self.label, "examples": self.examples, "predicted": self.predicted}
        return counts | {name: score and score.to_json() for name, score in scores.items()}


def confusion_matrix(label: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often each class (row) was said to be each (column): `(K, K)` int64.

    Args:
        label: `(N,)` whole numbers below `classes`: what each example is.
        predicted: `(N,)`: what it was said to be.
        classes: K.
    """
    assert len(label) == len(predicted)
    for numbers in (label, predicted):
        assert ((numbers >= 0) & (numbers < classes)).all(), f"a class not in 0 to {classes - 1}"
    cells = label.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def class_scores(confusion: np.ndarray) -> tuple[ClassScore, ...]:
    """Precision, recall and F1 of each class, each with its interval.

    Precision and recall are shares, with Wilson's interval. F1 is a rising function of a share
    too, of J = hits / (hits + misses + false alarms): F1 = 2 J / (1 + J). So its interval is
    Wilson's for J, mapped by the same function.
    """
    scores = []
    for label in range(len(confusion)):
        hits = int(confusion[label, label])
        examples, predicted = int(confusion[label].sum()), int(confusion[:, label].sum())
        scores.append(
            ClassScore(
                label=label,
                examples=examples,
                predicted=predicted,
                precision=_share(hits, predicted),
                recall=_share(hits, examples),
                f1=_f1(hits, examples + predicted - hits),
            )
        )
    return tuple(scores)


def macro_f1(confusion: np.ndarray, *, seed: int = 0) -> Metric:
    """The mean F1 of the classes, with a bootstrap's interval.

    A class that is neither among the labels nor was predicted is left out of the mean. Drawing
    the cells' counts from a multinomial is resampling the examples, without touching them.

    A bootstrap of no mistakes sees none. There the mean F1 is the accuracy, and takes its
    interval.

    Cost:
        `RESAMPLES * C * K` multiplications.
    """
    n = int(confusion.sum())
    assert n > 0, "the F1 of nothing"
    if np.trace(confusion) == n:
        return wilson(n, n)
    rows, columns = np.nonzero(confusion)
    generator = np.random.default_rng(seed)
    shares = confusion[rows, columns] / n
    draws_RC = generator.multinomial(n, shares, size=RESAMPLES).astype(np.float64)
    classes = np.arange(len(confusion))
    is_row_CK = (rows[:, None] == classes).astype(np.float64)
    is_column_CK = (columns[:, None] == classes).astype(np.float64)
    hits_RK = draws_RC @ (is_row_CK * is_column_CK)
    either_RK = draws_RC @ (is_row_CK + is_column_CK)
    value = _mean_f1(np.diag(confusion)[None], (confusion.sum(0) + confusion.sum(1))[None])
    draws = _mean_f1(hits_RK, either_RK)
    return resampled(float(value[0]), draws, n, floor=0.0, ceiling=1.0)


def _mean_f1(hits_RK: np.ndarray, either_RK: np.ndarray) -> np.ndarray:
    """The mean of 2 hits / (examples + predicted) over the classes that are there: `(R,)`."""
    there_RK = either_RK > 0
    f1_RK = np.where(there_RK, 2 * hits_RK / np.maximum(either_RK, 1), 0.0)
    return np.asarray(f1_RK.sum(1) / there_RK.sum(1))


def _share(part: int, whole: int) -> Metric | None:
    return wilson(part, whole) if whole else None


def _f1(hits: int, union: int) -> Metric | None:
    if not union:
        return None
    return wilson(hits, union).mapped(lambda x: 2 * x / (1 + x))
