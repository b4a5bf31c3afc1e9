"""What a report is made from; whoever knows the run directory fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from luthier.data.chat.shown import ShownConversation
from luthier.evaluation.evaluate import Evaluation
from luthier.planner.count import Counts
from luthier.spec import Decision


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity over the steps of a run."""

    quantity: str
    """`loss`, `accuracy`, `learning_rate`, …; curves of one quantity share a chart."""
    series: str
    """What it was measured on: `train`, `validation`."""
    steps: np.ndarray
    """`(N,)`, rising."""
    values: np.ndarray
    """`(N,)`; those that are not finite are left out."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How long the training took, and where the time went."""

    seconds: float
    """Of training, evaluations during it included, over all of its parts where it was resumed."""
    steps: int
    epochs: float
    examples_per_second: float
    """While training steps ran."""
    waiting_share: float
    """The share of that time spent waiting for data."""


@dataclass(frozen=True, kw_only=True)
class ShownForecast:
    """A window of a series, what was said of the steps behind it, and what they were."""

    title: str
    """The column, and when the forecast begins."""
    read: np.ndarray
    """`(L,)`, the last steps that were read."""
    truth: np.ndarray
    """`(H,)`; NaN where nothing was measured."""
    said: np.ndarray
    """`(H, Q)`, rising; one value, or quantiles."""
    levels: tuple[float, ...] = ()
    """Of the quantiles."""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """One run, whole. Nothing of it needs to be escaped or shortened."""

    name: str
    evaluation: Evaluation
    split: str = "test"
    """What `evaluation` was measured on."""
    classes: tuple[str, ...] = ()
    """The names of the class numbers in the evaluation's columns; empty for other tasks."""
    example_noun: str = "image"
    """What one example is, for sentences."""
    timing: Timing
    device: str
    """Where it was trained: cpu, cuda or mps."""
    machine: Mapping[str, Mapping[str, Any]]
    """As `placement.machine.machine()` gives it, at the time of training."""
    recipe: str
    """The recipe as it was written."""
    resolved: Mapping[str, Any]
    """The recipe with no `auto` left, as plain data."""
    decisions: tuple[Decision, ...] = ()
    counts: Counts | None = None
    """What each layer costs, for one example; none leaves the layer table out."""
    drawing: str = ""
    """The network as a self-contained SVG; empty leaves it out."""
    curves: tuple[Curve, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    """Examples in each split, train first."""
    pictures: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Example id → `(H, W, C)` uint8, for the ids that `mistakes.shown_ids` names."""
    texts: Mapping[int, str] = field(default_factory=dict)
    """Example id → the text, for the same ids, where examples are texts."""
    adapter: Mapping[str, Any] | None = None
    """What an adapter let move, as `Moves.to_json` gives it; none where every weight moved."""
    conversations: tuple[ShownConversation, ...] = ()
    """Some of what was trained on, where that was conversations."""
    forecasts: tuple[ShownForecast, ...] = ()
    """Some forecasts with what came, where series were forecast."""
    commands: tuple[str, ...] = ()
    """What to type to get this run again."""
    notes: tuple[str, ...] = ()
    """What a reader should know: examples skipped, steps skipped, checkpoints taken again."""
