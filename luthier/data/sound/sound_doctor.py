"""What is wrong with sounds, told before anything is spent on training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from luthier.data.balance import balance_findings
from luthier.data.copies import Copied, equal_pairs
from luthier.data.finding import FILES, Finding, counted, some_of, unusable, worst_first
from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.sound.sound_examples import SoundExamples
from luthier.data.target import Labels

SILENT = 1e-4
"""The loudest sample of a sound, below which nobody hears it."""


def inspect_sounds(data: PreparedSounds) -> list[Finding]:
    """Everything that is wrong with sounds, or good to know of them, the worst first."""
    found = [
        *unusable(data.skipped, "sound"),
        *_classes(data),
        *_copies(data),
        *_silent(data),
        *_unknown(data),
        _lengths(data),
    ]
    return worst_first(found)


def _splits(data: PreparedSounds) -> list[SoundExamples]:
    given = (data.train, data.validation, data.test)
    return [examples for examples in given if examples is not None]


def _classes(data: PreparedSounds) -> Iterator[Finding]:
    if isinstance(data.target, Labels):
        held = {examples.split: examples.labels for examples in _splits(data)[1:]}
        yield from balance_findings(data.target, held, "sounds")


def _copies(data: PreparedSounds) -> Iterator[Finding]:
    """Sounds with equal samples."""
    splits = _splits(data)
    digests = np.array(
        [examples.waves.digests[row] for examples in splits for row in examples.rows]
    )
    names = [name for examples in splits for name in examples.names]
    said = [
        examples.said.texts[row] if examples.said is not None else str(examples.labels[row])
        for examples in splits
        for row in range(len(examples))
    ]
    copied = Copied(
        splits=[examples.split for examples in splits],
        side=np.repeat(np.arange(len(splits)), [len(examples) for examples in splits]),
        labels=np.unique(np.array(said), return_inverse=True)[1],
        name=lambda row: names[row],
        one="sound",
        said="texts" if data.train.said is not None else "labels",
    )
    yield from copied.findings(equal_pairs(np.unique(digests, return_inverse=True)[1]), "equal")


def _unknown(data: PreparedSounds) -> Iterator[Finding]:
    """Texts with characters that no training sound has."""
    for examples in _splits(data)[1:]:
        said = examples.said
        unknown = None if said is None else said.writer.tokenizer.special("unknown")
        if said is None or unknown is None:
            continue
        rows = [row for row, tokens in enumerate(said.tokens) if (tokens == unknown).any()]
        if rows:
            known = set("".join(data.train.said.texts)) if data.train.said is not None else set()
            letters = sorted({letter for row in rows for letter in said.texts[row]} - known)
            yield Finding(
                severity="warning",
                message=f"{counted(len(rows), f'{examples.split} text')} with characters that no "
                f"training text has, and that cannot be written: {some_of(letters)}",
                files=tuple(examples.name(row) for row in rows[:FILES]),
            )


def _silent(data: PreparedSounds) -> Iterator[Finding]:
    silent = [
        examples.name(row)
        for examples in _splits(data)
        for row, number in enumerate(examples.rows)
        if np.abs(examples.waves[int(number)]).max() < SILENT
    ]
    if silent:
        yield Finding(
            severity="warning",
            message=f"{counted(len(silent), 'sound')} with nothing to hear",
            files=tuple(silent[:FILES]),
        )


def _lengths(data: PreparedSounds) -> Finding:
    train, rate = data.train, data.form.rate
    seconds = train.waves.lengths[train.rows] / rate
    return Finding(
        severity="note",
        message=f"{len(train):,} training sounds last {seconds.min():.2f} to {seconds.max():.2f} "
        f"seconds, {np.median(seconds):.2f} in the middle, {seconds.sum() / 60:.1f} minutes in "
        f"all; at {rate:,} samples a second the longest has {train.signal.shape[0]:,} frames of "
        f"{data.form.width}",
    )
