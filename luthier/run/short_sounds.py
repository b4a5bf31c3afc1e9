"""Sounds whose text does not fit into the frames that a network gives of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import nn

from luthier.data.finding import FILES, Finding, counted, some_of
from luthier.data.prepared import Prepared
from luthier.data.sound.prepare_sounds import PreparedSounds
from luthier.data.sound.sound_examples import SoundExamples
from luthier.errors import InputError
from luthier.recipe import Recipe
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


def short_findings(network: nn.Module, prepared: Prepared) -> Iterator[Finding]:
    """A finding for each split that has some."""
    if not isinstance(prepared, PreparedSounds):
        return
    for examples in (prepared.train, prepared.validation, prepared.test):
        names = [] if examples is None else short_sounds(network, examples)
        if examples is not None and names:
            yield Finding(
                severity="error" if examples.split == "train" else "warning",
                message=f"{counted(len(names), f'{examples.split} sound')} of {len(examples):,} "
                f"with a text that does not fit into the frames of the network; {MEND}",
                files=tuple(names[:FILES]),
            )


def must_fit(network: nn.Module, prepared: Prepared, recipe: Recipe) -> None:
    """Refuses training sounds that could not be learned from, unless they may be left out.

    Raises:
        InputError: With the first of them.
    """
    if not isinstance(prepared, PreparedSounds) or recipe.data.on_error == "skip":
        return
    names = short_sounds(network, prepared.train)
    if names:
        raise InputError(
            f"{counted(len(names), 'training sound')} of {len(prepared.train):,} with a text that "
            f"does not fit into the frames of the network: {some_of(names)}; {MEND}; or go on "
            "without them: data.on_error=skip"
        )
