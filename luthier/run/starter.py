"""A commented recipe to start from, for data that somebody has."""

from __future__ import annotations

import re
from pathlib import Path

from luthier.data.prepare_pictures import PreparedPictures, prepare_pictures
from luthier.data.readers.digits import DigitsSpec
from luthier.data.recognise import recognise
from luthier.data.sources import DataSpec
from luthier.errors import InputError, nearest
from luthier.spec import plain
from luthier.yaml_source import write_yaml

TASKS = {"classify": "classify", "image-classification": "classify"}
SMALL_SIDE = 12
"""Pictures up to so many pixels a side are halved once, larger ones until about four are left."""
WIDEST = 256


def starter_recipe(task: str, data: str) -> tuple[str, str]:
    """A recipe for `data`, and the name it has.

    Args:
        task: What to learn; the Hub's name for it does too.
        data: `digits`, or where the data lies.

    Raises:
        InputError: If there is no such task, or the data is nothing that is read.
    """
    if task not in TASKS:
        raise InputError(f'got the task "{task}"{nearest(task, TASKS)}')
    spec: DataSpec = DigitsSpec() if data == "digits" else recognise(Path(data))
    prepared = prepare_pictures(spec, seed=0)
    name = _name(data)
    return _text(name, TASKS[task], spec, prepared), name


def _name(data: str) -> str:
    stem = Path(data).resolve().name.split(".")[0] if data != "digits" else data
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")
    return (cleaned or "run")[:64]


def _text(name: str, task: str, spec: DataSpec, prepared: PreparedPictures) -> str:
    channels, height, width = prepared.signal.shape
    rows = len(prepared.train)
    classes = ", ".join(prepared.target.names[:5]) + (
        ", …" if len(prepared.target.names) > 5 else ""
    )
    data = write_yaml({"data": plain(spec)}).rstrip().replace("\n  ", "\n  ")
    lines = [
        f"# {prepared.recognised}",
        f"# {rows:,} training pictures of {height} x {width} pixels, {channels} "
        f"channel{'s' if channels > 1 else ''}; {len(prepared.target.names)} classes: {classes}",
        f"name: {name}",
        f"task: {{kind: {task}}}",
        data,
        *_augment(rows, height),
        "model:",
        "  layers:                       # the head comes from the task and the data",
        *_layers(height, width),
        "optimizer: {kind: adamw, learning_rate: 1.0e-3, weight_decay: 0.01}",
        "schedule: {kind: one_cycle}",
        f"training: {{epochs: {_epochs(rows)}, batch_size: auto, seed: 7}}",
    ]
    return "\n".join(lines) + "\n"


def _augment(rows: int, height: int) -> list[str]:
    shift = max(1, height // 12)
    return [
        "  augment:                      # random changes of the training pictures;",
        f"    - {{kind: crop, padding: {shift}}}  # add {{kind: flip}} where sides are alike",
    ]


def _layers(height: int, width: int) -> list[str]:
    side, channels = min(height, width), 32
    lines = []
    while True:
        lines.append(
            f"    - {{kind: conv, channels: {channels}, kernel: 3, padding: same, norm: batch, "
            "activation: relu}"
        )
        if side < SMALL_SIDE and len(lines) > 2:
            break
        lines.append("    - {kind: max_pool, size: 2}")
        side, channels = side // 2, min(2 * channels, WIDEST)
        if side < 2:
            break
    return [*lines, "    - {kind: global_pool}", "    - {kind: dropout, rate: 0.2}"]


def _epochs(rows: int) -> int:
    """Enough for some thousand steps, and no more than a person waits for."""
    return max(5, min(60, 300_000 // max(rows, 1)))
