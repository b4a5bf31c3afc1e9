"""Starter recipes for sounds."""

from __future__ import annotations

from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.target import names_of
from luthier.run.starter_body import StarterBody, between, comment, some_names

MANY_ROWS = 2000
LOW_RATE = 12_000
"""Samples a second, below which a mel scale has room for few bins."""


def for_sounds(prepared: PreparedSounds) -> StarterBody:
    """Sections for sounds with a class each: a CRNN."""
    rows, names = len(prepared.train), names_of(prepared.target)
    form = prepared.form
    what = f"{rows:,} training sounds at {form.rate:,} samples a second, the longest of "
    what += f"{form.seconds:,.1f} seconds; {len(names)} classes: {some_names(names)}"
    training = f"epochs: {between(60_000 // rows, 10, 60)}, "
    training += f"batch_size: {32 if rows >= MANY_ROWS else 16}, clip_norm: 1.0"
    if prepared.validation is not None:
        training += ", keep_best: true"
    return StarterBody(
        about=[*comment(prepared.recognised), *comment(what)],
        lines=[
            "  augment:                      # random changes of the training sounds",
            "    - {kind: speed}",
            "    - {kind: spec_augment}",
            "model:",
            "  layers:                       # the head comes from the task and the data",
            "    - {kind: subsample, channels: [16, 32, 32], width: 96}  # 1/8 of the frames",
            "    - {kind: dropout, rate: 0.2}",
            "    - {kind: recurrent, cell: gru, width: 64, bidirectional: true}",
            "    - {kind: global_pool}",
            "    - {kind: dropout, rate: 0.3}",
            "optimizer: {kind: adamw, learning_rate: 2.0e-3, weight_decay: 0.05}",
            "schedule: {kind: one_cycle}",
            f"training: {{{training}, seed: 7}}",
        ],
    )


def bins_for(rate: int) -> int:
    """Mel bins that suit a sampling rate."""
    return 40 if rate < LOW_RATE else 80
