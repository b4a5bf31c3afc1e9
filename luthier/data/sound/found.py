"""What a reader of sounds found: files with a label, a text or both, by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.data.collection import Split
from luthier.data.readers.stored import Stored
from luthier.spec import Decision


@dataclass(frozen=True, kw_only=True)
class SoundRow:
    """A sound, and what is known of it."""

    name: str
    """What a person calls it: its path below the place that was named."""
    parts: tuple[Stored, ...]
    """The files that it is made of, one behind the other; one, unless sounds are joined."""
    label: str | None = None
    text: str | None = None
    """What is said in it."""


Parts = Mapping[Split, Sequence[SoundRow]]


@dataclass(frozen=True, kw_only=True)
class FoundSounds:
    """What a reader found at a place."""

    recognised: str
    """What it is: `folders of sounds /data/words`."""
    parts: Parts
    """The splits that are given. Where there is only one, it is called train."""
    decisions: tuple[Decision, ...] = ()
    """What was left to the reader."""


def sole_part(parts: Parts) -> Parts:
    """The splits; where there is only one, it is called train."""
    return {"train": next(iter(parts.values()))} if len(parts) == 1 else parts
