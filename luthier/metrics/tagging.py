"""What the tags that a network gives to words are worth.

All functions read the same columns, one entry a text: `words`, `right` (words with the right
tag); and for each type, `(N, Y)`: `actual` (how often it is there), `said` (how often it was
said to be) and `found` (how often both). Types are those of entities; where each word's tag
stands alone, the tags.

Dimension key, for the whole file:
    N  texts      Y  types      R  resamples
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from luthier.metrics.bootstrap import drawn_sums
from luthier.metrics.interval import Metric, resampled, wilson
from luthier.metrics.ratio import share


def entity_metrics(columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """`entity_f1`, `entity_precision` and `entity_recall` over all entities, and `tag_accuracy`.

    An entity counts as found where its type, its first and its last word are right. Intervals
    are those of texts drawn anew, since entities of a text hang together.

    Source:
        Tjong Kim Sang and De Meulder 2003, 0306050: precision and recall of whole entities; the
        values are those of seqeval.

    Example:
        >>> columns = {
        ...     "words": np.array([5, 4]),
        ...     "right": np.array([5, 3]),
        ...     "actual": np.array([[1, 1], [1, 0]]),
        ...     "said": np.array([[1, 1], [0, 0]]),
        ...     "found": np.array([[1, 1], [0, 0]]),
        ... }
        >>> {name: round(found.value, 2) for name, found in entity_metrics(columns).items()}
        {'entity_f1': 0.8, 'entity_precision': 1.0, 'entity_recall': 0.67, 'tag_accuracy': 0.89}
    """
    found, said, actual = (columns[name].sum(1) for name in ("found", "said", "actual"))
    return {
        "entity_f1": _f1(found, said + actual),
        "entity_precision": share(found, said),
        "entity_recall": share(found, actual),
        "tag_accuracy": share(columns["right"], columns["words"]),
    }


def word_metrics(columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """`tag_accuracy`, and `tag_macro_f1`: the mean F1 of the tags that are there or were said."""
    found, either = columns["found"], columns["said"] + columns["actual"]
    n, types = found.shape
    value = _mean_f1(found.sum(0)[None], either.sum(0)[None])[0]
    if value in (0.0, 1.0):
        macro = _without_spread(float(value), n)
    else:
        draws = drawn_sums(np.concatenate([found, either], 1))
        macro = resampled(
            float(value), _mean_f1(draws[:, :types], draws[:, types:]), n, floor=0.0, ceiling=1.0
        )
    return {"tag_accuracy": share(columns["right"], columns["words"]), "tag_macro_f1": macro}


def scores_by_type(columns: Mapping[str, np.ndarray], types: Sequence[str]) -> list[dict[str, Any]]:
    """`type`, `actual`, `said`, `found`, `precision`, `recall` and `f1` of each, JSON-ready.

    A score is none where it would divide by nothing.
    """
    rows = []
    for number, name in enumerate(types):
        found, said, actual = (columns[key][:, number] for key in ("found", "said", "actual"))
        scores = {
            "precision": share(found, said) if said.any() else None,
            "recall": share(found, actual) if actual.any() else None,
            "f1": _f1(found, said + actual) if (said + actual).any() else None,
        }
        counts = {
            "type": name,
            "actual": int(actual.sum()),
            "said": int(said.sum()),
            "found": int(found.sum()),
        }
        rows.append(counts | {key: score and score.to_json() for key, score in scores.items()})
    return rows


def _f1(found: np.ndarray, either: np.ndarray) -> Metric:
    """`2 found / (said + actual)`, summed over texts; 0 of nothing."""
    n, whole = len(found), int(either.sum())
    value = 2 * int(found.sum()) / whole if whole else 0.0
    if value in (0.0, 1.0):
        return _without_spread(value, n)
    draws = drawn_sums(np.stack([2 * found, either], 1))
    return resampled(value, draws[:, 0] / np.maximum(draws[:, 1], 1), n, floor=0.0, ceiling=1.0)


def _without_spread(value: float, n: int) -> Metric:
    """A bootstrap of nothing but hits, or of none, sees no spread: as if texts were trials."""
    return wilson(n if value else 0, n)


def _mean_f1(found_RY: np.ndarray, either_RY: np.ndarray) -> np.ndarray:
    """The mean of 2 found / (said + actual) over the types that are there: `(R,)`."""
    there_RY = either_RY > 0
    f1_RY = np.where(there_RY, 2 * found_RY / np.maximum(either_RY, 1), 0.0)
    return np.asarray(f1_RY.sum(1) / np.maximum(there_RY.sum(1), 1))
