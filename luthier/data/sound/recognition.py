"""What kind of sounds lie at a place."""

from __future__ import annotations

import itertools
from pathlib import Path, PurePosixPath

from luthier.data.faults import Faults
from luthier.data.purpose import Learned
from luthier.data.readers.member import is_archive, read_members
from luthier.data.readers.place import below, names
from luthier.data.readers.rows import TABLE_SUFFIXES, read_rows
from luthier.data.readers.sound_table import USUAL, SoundTableSpec
from luthier.data.readers.stored import Stored
from luthier.data.sound.decoder import SUFFIXES
from luthier.errors import DataError

MOST_NAMES = 5000
"""Files of a folder or an archive that are looked at: enough to see whether they are sounds."""
LOOKED_AT = 5
"""Rows of a table that tell whether it names sounds."""


def sound_table_at(place: Path, learns: Learned) -> SoundTableSpec | None:
    """The settings that read a table of sounds, or a folder with one; none if there is none.

    Args:
        place: A file or a folder that is there.
        learns: labels or transcripts.
    """
    path = place
    if place.is_dir():
        tables = [name for name in names(place) if name.lower().endswith(TABLE_SUFFIXES)]
        if len(tables) != 1:
            return None
        path = place / tables[0]
    if not path.name.lower().endswith(TABLE_SUFFIXES):
        return None
    try:
        rows = list(itertools.islice(read_rows(Stored.at(path), Faults("skip")), LOOKED_AT))
    except DataError:
        return None  # who reads it tells what is wrong
    wanted = "text" if learns == "transcripts" else "label"
    for _, values in rows:
        file = next((values[name] for name in USUAL["file"] if name in values), None)
        sound = isinstance(file, str) and PurePosixPath(file).suffix.lower() in SUFFIXES
        if not sound or not any(name in values for name in USUAL[wanted]):
            return None
        if any(values.get(name) in ("train", "test") for name in ("split",)):
            return SoundTableSpec(path=str(path), split_column="split")
    return SoundTableSpec(path=str(path)) if rows else None


def sounds_in(place: Path) -> list[PurePosixPath]:
    """The sounds among the first files of a folder or an archive."""
    if place.is_dir():
        found = (name for name, is_folder in below(place) if not is_folder)
    elif is_archive(place.name):
        members = read_members(place, Faults("skip"), suffixes=())
        found = (member.path for member in members if not member.is_folder)
    else:
        return []
    try:
        return [path for path in itertools.islice(found, MOST_NAMES) if _is_sound(path)]
    except DataError:
        return []  # who reads it tells what is wrong


def _is_sound(path: PurePosixPath) -> bool:
    return path.suffix.lower() in SUFFIXES
