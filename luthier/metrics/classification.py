"""What the predictions of a classifier are worth.

All functions read the same columns, one entry an example:
`label` and `predicted` (class numbers), `probability` (of the predicted class),
`probability_of_label`, `top` (the k likeliest classes, `(N, k)`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from luthier.metrics.calibration import Bin, calibration_error, reliability_bins
from luthier.metrics.confusion import ClassScore, class_scores, confusion_matrix, macro_f1
from luthier.metrics.interval import Metric, mean, wilson

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""A probability of 0 in float32 counts as this, or the log loss would be infinite."""


def classification_metrics(
    columns: Mapping[str, np.ndarray], classes: int, top_k: int
) -> dict[str, Metric]:
    """The metrics of a classifier, accuracy first.

    `accuracy`, `top_K_accuracy` (where 1 < K < classes), `macro_f1`, `log_loss` (natural
    logarithm, of the label's probability), `calibration_error`.

    Args:
        columns: As at the top of this file.
        classes: The number of classes.
        top_k: K; the column `top` holds at least so many.

    Example:
        >>> columns = {
        ...     "label": np.array([0, 1, 1, 0]),
        ...     "predicted": np.array([0, 1, 0, 0]),
        ...     "probability": np.array([0.9, 0.8, 0.6, 0.7]),
        ...     "probability_of_label": np.array([0.9, 0.8, 0.4, 0.7]),
        ... }
        >>> classification_metrics(columns, classes=2, top_k=1)["accuracy"].value
        0.75
    """
    label, predicted = columns["label"], columns["predicted"]
    correct = label == predicted
    metrics = {"accuracy": wilson(int(correct.sum()), len(label))}
    if 1 < top_k < classes:
        assert columns["top"].shape[1] >= top_k
        found = (columns["top"][:, :top_k] == label[:, None]).any(1)
        metrics[f"top_{top_k}_accuracy"] = wilson(int(found.sum()), len(label))
    metrics["macro_f1"] = macro_f1(confusion_matrix(label, predicted, classes))
    chance = columns["probability_of_label"].astype(np.float64)
    metrics["log_loss"] = mean(-np.log(np.maximum(chance, LEAST_PROBABILITY)), floor=0.0)
    metrics["calibration_error"] = calibration_error(columns["probability"], correct)
    return metrics


@dataclass(frozen=True, kw_only=True)
class ClassificationDetails:
    """What stands behind the metrics: by class, by pair of classes, by probability."""

    classes: tuple[str, ...]
    scores: tuple[ClassScore, ...]
    """One for each class."""
    confusion: np.ndarray
    """`(K, K)` counts; a row is what they are, a column what they were said to be."""
    bins: tuple[Bin, ...]
    """Of the reliability diagram."""

    def to_json(self) -> dict[str, Any]:
        """Plain data: `classes`, `per_class`, `confusion`, `calibration`."""
        per_class = [
            {"class": self.classes[score.label], **score.to_json()} for score in self.scores
        ]
        return {
            "classes": list(self.classes),
            "per_class": per_class,
            "confusion": self.confusion.tolist(),
            "calibration": [found.to_json() for found in self.bins],
        }


def classification_details(
    columns: Mapping[str, np.ndarray], classes: Sequence[str]
) -> ClassificationDetails:
    """What stands behind the metrics of a classifier.

    Args:
        columns: As at the top of this file.
        classes: Their names, by number.
    """
    label, predicted = columns["label"], columns["predicted"]
    confusion = confusion_matrix(label, predicted, len(classes))
    return ClassificationDetails(
        classes=tuple(classes),
        scores=class_scores(confusion),
        confusion=confusion,
        bins=reliability_bins(columns["probability"], label == predicted),
    )


def worst_mistakes(columns: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """The rows of `columns` that are most confidently wrong, worst first, at most `count`.

    By the probability of the wrong answer, the greatest first; equal ones by row.
    """
    wrong = np.flatnonzero(columns["label"] != columns["predicted"])
    order = np.argsort(-columns["probability"][wrong], kind="stable")
    return np.asarray(wrong[order][:count])
