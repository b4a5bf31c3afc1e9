"""Sounds whose names say what they are: `7_jackson_32.wav`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import Field, model_validator

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.readers.place import existing
from luthier.data.readers.sound_folder import is_sound
from luthier.data.readers.stored import stored_files
from luthier.data.sound.found import FoundSounds, SoundRow, sole_part
from luthier.data.sound.sounds import SoundsSpec
from luthier.errors import DataError, nearest
from luthier.spec import Many

FIELD = re.compile(r"\{(\w*)\}")
Chosen = dict[str, Many[int | str]]


class SoundNamesSpec(SoundsSpec):
    """Sounds whose file names say what they are.

    The digits of FSDD, `7_jackson_32.wav`, with the split that comes with them:

        kind: sound_names
        path: recordings
        pattern: "{label}_{speaker}_{n}"
        test: {n: [0, 1, 2, 3, 4]}
    """

    kind: Literal["sound_names"] = "sound_names"

    path: str
    """The folder of the sounds, or an archive of it."""
    pattern: str
    """How a name is made, without its suffix: `{label}_{speaker}_{n}`. With a `/`, the folder of
    the file is a part of it."""
    label: str = "label"
    """The field of the pattern that is the class."""
    text: str = "text"
    """The field of the pattern that is what is said."""
    words: dict[str, str] = Field(default_factory=dict)
    """What parts of that field stand for, where they are not the words themselves:
    `{"0": "no", "1": "yes"}`. Parts are divided by `_`, `-` or spaces."""
    validation: Chosen = Field(default_factory=dict)
    """The values of fields that make a sound one of the validation split: `{n: [5, 6]}`."""
    test: Chosen = Field(default_factory=dict)
    """The same of the test split."""

    @model_validator(mode="after")
    def _usable_names(self) -> Self:
        fields = FIELD.findall(self.pattern)
        if not fields or "" in fields or len(set(fields)) < len(fields):
            raise ValueError(
                f'pattern: got "{self.pattern}"; wanted different names in braces, such as '
                "{label}_{speaker}_{n}"
            )
        if self.label not in fields and self.text not in fields:
            raise ValueError(
                f'pattern: "{self.pattern}" has neither {{{self.label}}}, the class, nor '
                f"{{{self.text}}}, what is said (label, text)"
            )
        for setting, chosen in (("validation", self.validation), ("test", self.test)):
            for name in chosen:
                if name not in fields:
                    raise ValueError(
                        f'{setting}: got "{name}", which is no field of the pattern'
                        f"{nearest(name, fields)}"
                    )
        return self

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """The pattern as a regular expression."""
        literals = FIELD.split(self.pattern)
        parts = [
            f"(?P<{part}>[^/]+?)" if number % 2 else re.escape(part)
            for number, part in enumerate(literals)
        ]
        return re.compile("".join(parts))

    def collect(self, faults: Faults) -> FoundSounds:
        """Every sound below the folder."""
        place = existing(self.path, "a folder of sounds, or an archive of one")
        files = stored_files(place, faults)
        parts: dict[Split, list[SoundRow]] = {}
        for file in files:
            if not is_sound(file.path):
                continue
            fields = self._fields(file.path)
            if fields is None:
                faults.add(str(file.path), f'has a name that is not "{self.pattern}"')
                continue
            text, problem = self._text(fields.get(self.text))
            if problem:
                faults.add(str(file.path), problem)
                continue
            row = SoundRow(
                name=str(file.path), parts=(file,), label=fields.get(self.label), text=text
            )
            parts.setdefault(self._split(fields), []).append(row)
        if not parts:
            faults.settle()  # if all were at fault, their faults tell more
            raise DataError(f"{place}: holds no sounds")
        for split, chosen in (("validation", self.validation), ("test", self.test)):
            if chosen and split not in parts:
                raise DataError(f"data.{split}: no sound of {place} has such a name: {chosen}")
        return FoundSounds(recognised=f"named sounds {place}", parts=sole_part(parts))

    def _fields(self, path: PurePosixPath) -> dict[str, str] | None:
        depth = self.pattern.count("/") + 1
        name = "/".join(path.with_suffix("").parts[-depth:])
        found = self.expression.fullmatch(name)
        return None if found is None else found.groupdict()

    def _text(self, said: str | None) -> tuple[str | None, str]:
        """What is said, and what is wrong with it."""
        if said is None:
            return None, ""
        parts = [part for part in re.split(r"[_\-\s]+", said) if part]
        if self.words:
            for part in parts:
                if part not in self.words:
                    return None, f'has "{part}" in its name, which is not in data.words'
            parts = [self.words[part] for part in parts]
        return " ".join(parts), ""

    def _split(self, fields: Mapping[str, str]) -> Split:
        chosen: tuple[tuple[Split, Chosen], ...] = (
            ("test", self.test),
            ("validation", self.validation),
        )
        for split, wanted in chosen:
            if wanted and all(fields[name] in map(str, values) for name, values in wanted.items()):
                return split
        return "train"
