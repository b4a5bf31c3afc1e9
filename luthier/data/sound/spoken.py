"""What is said, as text: how it is written, and sounds that are joined."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from luthier.data.randomness import permutation, uniforms
from luthier.data.sound.found import SoundRow
from luthier.spec import Spec

APOSTROPHES = "'’"


def as_spoken(text: str) -> str:
    """A text in lower case, with letters, digits and apostrophes inside of words alone.

    Example:
        >>> as_spoken("Please enter the PIN, then press 'pound'. It's ¾!")
        "please enter the pin then press pound it's 3 4"
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    kept = []
    for place, letter in enumerate(text):
        inside = 0 < place < len(text) - 1 and (text[place - 1] + text[place + 1]).isalnum()
        if letter in APOSTROPHES and inside:
            kept.append("'")
        else:
            marks = unicodedata.category(letter)[0]
            kept.append(letter if marks in "LNM" else " ")
    return " ".join("".join(kept).split())


class JoinSpec(Spec):
    """Sounds of a split joined into longer ones: single words into sentences.

    Which ones is a function of the seed, so that each run has the same. Each split is joined by
    itself, so that no sound is in two of them.
    """

    least: int = Field(default=2, ge=1)
    """The fewest sounds of one row."""
    most: int = Field(default=6, ge=1)
    """The most; how many is drawn evenly between."""
    times: int = Field(default=1, ge=1, le=100)
    """How often each training sound is used: in other company each time. Those of the other
    splits are used once."""
    seed: int = Field(default=0, ge=0)
    """Joins others."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least: got {self.least}, more than most ({self.most})")
        return self

    def joined(self, rows: Sequence[SoundRow], split: str) -> list[SoundRow]:
        """The rows of a split, joined.

        What is left at the end of a pass makes a shorter row.
        """
        found: list[SoundRow] = []
        for turn in range(self.times if split == "train" else 1):
            order = permutation(len(rows), self.seed, turn, f"join/{split}")
            sizes = uniforms(self.seed, turn, np.arange(len(rows)), f"join/size/{split}", 1)[:, 0]
            start = 0
            while start < len(rows):
                count = self.least + int(sizes[start] * (self.most - self.least + 1))
                some = [rows[row] for row in order[start : start + count]]
                start += count
                found.append(
                    SoundRow(
                        name=" + ".join(row.name for row in some),
                        parts=tuple(part for row in some for part in row.parts),
                        text=" ".join(row.text or "" for row in some),
                    )
                )
        return found
