"""A made-up run, with anything of it replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from luthier.evaluation.evaluate import Evaluation
from luthier.metrics.classification import classification_metrics
from luthier.metrics.interval import mean
from luthier.planner.count import Counts, Row
from luthier.reports.data import Curve, ReportData, Timing
from luthier.reports.mistakes import shown_ids
from luthier.signal import Signal
from luthier.spec import Decision

DRAWING = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'

Columns = Mapping[str, np.ndarray]


def made_up_columns(
    *, examples: int = 360, classes: int = 10, wrong: int = 7, seed: int = 0
) -> Columns:
    """Columns of a classifier that is wrong just so often."""
    generator = np.random.default_rng(seed)
    label = np.arange(examples) % classes
    chance = generator.uniform(0.6, 1.0, examples)
    predicted = label.copy()
    rows = generator.permutation(examples)[:wrong]
    predicted[rows] = (label[rows] + 1 + generator.integers(0, classes - 1, wrong)) % classes
    right = predicted == label
    of_label = np.where(right, chance, 1 - chance)
    second = (predicted + 1) % classes
    return {
        "id": np.arange(examples),
        "name": np.array([f"test[{row}]" for row in range(examples)]),
        "label": label,
        "predicted": predicted,
        "probability": chance,
        "probability_of_label": of_label,
        "top": np.stack([predicted, second], 1),
        "loss": -np.log(of_label),
    }


def evaluation_of(columns: Columns, classes: int) -> Evaluation:
    """The evaluation that holds `columns`."""
    return Evaluation(
        headline="accuracy",
        metrics=classification_metrics(columns, classes, 2),
        loss=mean(columns["loss"]),
        details={},
        columns=columns,
        seconds=0.21,
    )


def layer(depth: int) -> Row:
    """A layer, and another inside of it."""
    return Row(
        place="layers[0]" + ".layers[0]" * depth,
        name="conv",
        module="layers.0" + ".layers.0" * depth,
        depth=depth,
        gives=Signal("image", (32, 6, 6)),
        parameters=320 - depth,
        trained=320 - depth,
        flops=20736,
        activation_bytes=0 if depth else 4608,
    )


def made_up_run(columns: Columns | None = None, **changes: Any) -> ReportData:
    """A run; `changes` are fields of ReportData."""
    columns = made_up_columns() if columns is None else columns
    classes = changes.pop("classes", tuple("0123456789"))
    steps = np.arange(1, 101)
    generator = np.random.default_rng(0)
    pictures = {
        int(row): generator.integers(0, 256, (8, 8, 1), dtype=np.uint8)
        for row in shown_ids(columns)
    }
    run = ReportData(
        name="digits",
        evaluation=evaluation_of(columns, len(classes) or 10),
        classes=classes,
        timing=Timing(
            seconds=14.2, steps=100, epochs=10.0, examples_per_second=8450.0, waiting_share=0.012
        ),
        device="cpu",
        machine={
            "cpu": {"name": "A CPU", "cores": 2, "bf16": True},
            "gpu": {"name": "A GPU", "count": 0},
            "memory": {"total_bytes": 8_000_000_000},
        },
        recipe="name: digits\ntask: {kind: classify}\n",
        resolved={
            "name": "digits",
            "start": "runs/mnist",
            "adapter": {"kind": "lora", "rank": 4, "alpha": 32.0, "dropout": 0.1, "keep": "model"},
            "training": {"seed": 7},
        },
        adapter={
            "trained": 1234,
            "whole": 320_000,
            "where": "conv in 3 layers",
            "bytes": {"adapter": 4936, "four_bits": 90_000, "others": 640_000},
            "in_four_bits": 160_000,
        },
        decisions=(Decision(place="placement.precision", value="fp32", reason="no bfloat16"),),
        counts=Counts(batch=1, rows=(layer(0), layer(1)), total=layer(0)),
        drawing=DRAWING,
        curves=(
            Curve(quantity="loss", series="train", steps=steps, values=2.0 / steps),
            Curve(quantity="loss", series="validation", steps=steps[::10], values=3 / steps[::10]),
            Curve(quantity="accuracy", series="validation", steps=steps, values=1 - 0.5 / steps),
            Curve(quantity="learning_rate", series="train", steps=steps, values=1e-3 / steps),
        ),
        splits={"train": 1257, "validation": 180, "test": 360},
        pictures=pictures,
        commands=("luthier train recipes/digits.yaml",),
        notes=("2 images could not be read.",),
    )
    return replace(run, **changes)


@pytest.fixture
def make_columns() -> Callable[..., Columns]:
    """`made_up_columns`."""
    return made_up_columns


@pytest.fixture
def make_run() -> Callable[..., ReportData]:
    """`made_up_run`."""
    return made_up_run
