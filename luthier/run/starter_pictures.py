"""A starter recipe for pictures: pairs of convolutions that halve them until little is left."""

from __future__ import annotations

from luthier.data.prepare_pictures import PreparedPictures
from luthier.run.starter_body import StarterBody, between, comment, some_names

SMALL_SIDE = 12
"""Pictures up to so many pixels a side are halved once, larger ones until about four are left."""
WIDEST = 256


def for_pictures(prepared: PreparedPictures) -> StarterBody:
    """Sections for pictures with a class each."""
    channels, height, width = prepared.signal.shape
    rows, names = len(prepared.train), prepared.target.names
    return StarterBody(
        about=[
            *comment(prepared.recognised),
            *comment(
                f"{rows:,} training pictures of {height} x {width} pixels, {channels} "
                f"channel{'s' if channels > 1 else ''}; {len(names)} classes: {some_names(names)}"
            ),
        ],
        lines=[
            *_augment(height),
            "model:",
            "  layers:                       # the head comes from the task and the data",
            *_layers(height, width),
            "optimizer: {kind: adamw, learning_rate: 1.0e-3, weight_decay: 0.01}",
            "schedule: {kind: one_cycle}",
            f"training: {{epochs: {_epochs(rows)}, batch_size: auto, seed: 7}}",
        ],
    )


def _augment(height: int) -> list[str]:
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
    return between(300_000 // rows, 5, 60)
