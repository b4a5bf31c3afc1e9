"""Sounds whose text does not fit into the frames that a network gives of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import nn

from luthier.data.finding import FILES, Finding, counted, some_of
from luthier.data.prepared import Prepared
from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.sound.sound_examples import SoundExamples
from luthier.data.target import Written
from luthier.errors import InputError
from luthier.recipe import Recipe
from luthier.tasks.dictation import too_long
from luthier.tasks.listening import fitting, lengths_behind

MEND = "each token needs a frame, and two equal ones one between them: take smaller strides, or "
MEND += "tokens of more letters (data.tokenizer={kind: bpe, vocab: 200})"


def short_sounds(network: nn.Module, examples: SoundExamples) -> list[str]:
    """The names of the sounds of a split whose text does not fit."""
    if examples.said is None:
        return []
    frames = lengths_behind(network, tuple(map(int, examples.lengths)))
    fits = fitting(frames, examples.said.tokens)
    return [examples.name(int(row)) for row in np.flatnonzero(~np.array(fits))]


def long_texts(examples: SoundExamples, target: Written) -> list[str]:
    """The names of the sounds of a split whose text is longer than a decoder can write."""
    if examples.said is None:
        return []
    long = too_long(examples.said.tokens, target)
    return [examples.name(int(row)) for row in np.flatnonzero(long)]


def _found(network: nn.Module, prepared: PreparedSounds, examples: SoundExamples) -> list[str]:
    if isinstance(prepared.target, Written):
        return long_texts(examples, prepared.target)
    return short_sounds(network, examples)


def _why(prepared: PreparedSounds) -> str:
    """What is wrong with such a sound, and what to do."""
    if isinstance(prepared.target, Written):
        return f"a text that is longer than the {prepared.target.context} tokens that are written"
    return f"a text that does not fit into the frames of the network; {MEND}"


def short_findings(network: nn.Module, prepared: Prepared) -> Iterator[Finding]:
    """A finding for each split that has some."""
    if not isinstance(prepared, PreparedSounds):
        return
    for examples in (prepared.train, prepared.validation, prepared.test):
        names = [] if examples is None else _found(network, prepared, examples)
        if examples is not None and names:
            yield Finding(
                severity="error" if examples.split == "train" else "warning",
                message=f"{counted(len(names), f'{examples.split} sound')} of {len(examples):,} "
                f"with {_why(prepared)}",
                files=tuple(names[:FILES]),
                skippable=not isinstance(prepared.target, Written),
            )


def must_fit(network: nn.Module, prepared: Prepared, recipe: Recipe) -> None:
    """Refuses training sounds that could not be learned from, unless they may be left out.

    Raises:
        InputError: With the first of them.
    """
    if not isinstance(prepared, PreparedSounds):
        return
    if recipe.data.on_error == "skip" and not isinstance(prepared.target, Written):
        return
    names = _found(network, prepared, prepared.train)
    if names:
        either = (
            ""
            if isinstance(prepared.target, Written)
            else ("; or go on without them: data.on_error=skip")
        )
        raise InputError(
            f"{counted(len(names), 'training sound')} of {len(prepared.train):,} with "
            f"{_why(prepared)}: {some_of(names)}{either}"
        )
