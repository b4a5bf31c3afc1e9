"""Folders of sounds, one folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.readers.layout import split_of
from luthier.data.readers.place import existing
from luthier.data.readers.stored import Stored, stored_files
from luthier.data.sound.decoder import SUFFIXES
from luthier.data.sound.found import FoundSounds, SoundRow, sole_part
from luthier.data.sound.sounds import SoundsSpec
from luthier.errors import DataError

LISTS: Mapping[str, Split] = {
    "validation_list.txt": "validation",
    "testing_list.txt": "test",
}
"""Files of Google's Speech Commands that name the sounds of a split, one a line."""
_WANTED = "CLASS/sound.wav, or train/CLASS/sound.wav with val and test beside train"


class SoundFolderSpec(SoundsSpec):
    """Sounds in class folders: `path/CLASS/*.wav`, or `path/{train,val,test}/CLASS/*.wav`.

    Lists of sounds as in Speech Commands (`validation_list.txt`, `testing_list.txt`) make splits.
    """

    kind: Literal["sound_folder"] = "sound_folder"

    path: str
    """The folder, or an archive of it, that holds the class folders, or train, val and test."""

    def collect(self, faults: Faults) -> FoundSounds:
        """Every sound in a class folder."""
        place = existing(self.path, "a folder of class folders, or an archive of one")
        files = stored_files(place, faults)
        listed = _listed(files)
        sounds = [file for file in files if is_sound(file.path)]
        depth = 2 if _splits_given(sounds, str(place)) else 1
        parts: dict[Split, list[SoundRow]] = {}
        aside = len(files) - len(sounds) - len([f for f in files if str(f.path) in LISTS])
        for file in sounds:
            folders = file.path.parts[:-1]
            label = folders[depth - 1] if len(folders) >= depth else ""
            if not label or label.startswith("_"):  # _background_noise_
                aside += 1
                continue
            if self.classes != "auto" and label not in self.classes:
                aside += 1
                continue
            given = split_of(folders[0]) if depth == 2 else listed.get(str(file.path))
            row = SoundRow(name=str(file.path), parts=(file,), label=label)
            parts.setdefault(given or "train", []).append(row)
        if not parts:
            faults.settle()  # if all were at fault, their faults tell more
            raise DataError(f"{place}: holds no sounds in class folders; wanted {_WANTED}")
        others = f" ({aside:,} other files left aside)" if aside > 0 else ""
        return FoundSounds(recognised=f"folders of sounds {place}{others}", parts=sole_part(parts))


def is_sound(path: PurePosixPath) -> bool:
    """Whether a file's name is that of a sound."""
    return path.suffix.lower() in SUFFIXES


def _listed(files: Sequence[Stored]) -> dict[str, Split]:
    """The splits of the sounds that lists name."""
    found: dict[str, Split] = {}
    for file in files:
        split = LISTS.get(str(file.path))
        if split is not None:
            with file.open() as stream:
                names = stream.read().decode(errors="replace").split("\n")
            found |= {name.strip(): split for name in names if name.strip()}
    return found


def _splits_given(sounds: Sequence[Stored], place: str) -> bool:
    """Whether the folders at the top are those of splits."""
    tops = {file.path.parts[0] for file in sounds if len(file.path.parts) > 1}
    given = sorted(top for top in tops if split_of(top))
    others = sorted(tops - set(given))
    if given and others:
        raise DataError(
            f"{place}: has {', '.join(others[:5])} beside {', '.join(given)}; wanted either "
            "folders of splits (train, val, test) or folders of classes"
        )
    return bool(given)
