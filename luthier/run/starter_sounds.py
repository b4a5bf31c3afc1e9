"""Starter recipes for sounds."""

from __future__ import annotations

from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.target import names_of
from luthier.run.starter_body import StarterBody, between, comment, some_names

MANY_ROWS = 2000
LOW_RATE = 12_000
"""Samples a second, below which a mel scale has room for few bins."""


def for_sounds(prepared: PreparedSounds) -> StarterBody:
    """Sections for sounds with a class each, or with what is said in them: a CRNN."""
    rows, names, form = len(prepared.train), names_of(prepared.target), prepared.form
    writes = prepared.train.said is not None
    what = f"{rows:,} training sounds at {form.rate:,} samples a second, the longest of "
    what += f"{form.seconds:,.1f} seconds; "
    what += "with what is said" if writes else f"{len(names)} classes: {some_names(names)}"
    most = 8 if writes else 32 if rows >= MANY_ROWS else 16
    training = f"epochs: {between(60_000 // rows, 10, 60)}, batch_size: {most}, clip_norm: 1.0"
    if prepared.validation is not None:
        training += ", keep_best: true"
    return StarterBody(
        about=[*comment(prepared.recognised), *comment(what)],
        lines=[
            "  augment:                      # random changes of the training sounds",
            "    - {kind: speed}",
            "    - {kind: spec_augment}",
            "model: {kind: crnn}             # luthier design crnn prints its layers",
            "optimizer: {kind: adamw, learning_rate: 2.0e-3, weight_decay: 0.05}",
            "schedule: {kind: one_cycle}",
            f"training: {{{training}, seed: 7}}",
        ],
    )


def bins_for(rate: int) -> int:
    """Mel bins that suit a sampling rate."""
    return 40 if rate < LOW_RATE else 80
