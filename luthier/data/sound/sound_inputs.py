"""Sounds that somebody gives to a finished model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from luthier.data.readers.place import below, existing
from luthier.data.readers.stored import Stored
from luthier.data.sound.decoder import SUFFIXES
from luthier.data.sound.form import SoundForm
from luthier.data.sound.ngram import Ngram
from luthier.data.sound.sound_examples import FRAMES_AT_ONCE, SoundSamples, Writer
from luthier.data.sound.waves import read_file
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_file import FILE_NAME
from luthier.errors import DataError
from luthier.spec import parse

ABOUT = "preprocessing.json"
COUNTS = "ngram.json"
MOST_SECONDS = 4 * 3600.0
"""Of a sound that somebody gives."""
UNKNOWN = -1

Given = Path | str | bytes
"""A file, a folder of files, or the bytes of a file."""


class SoundInputs:
    """Makes samples of files of sounds, of folders of them, and of bytes.

    Args:
        form: As the training sounds had it.
        writer: Of what is said; none where nothing is written.
    """

    def __init__(self, form: SoundForm, writer: Writer | None = None) -> None:
        self.form = form
        self.writer = writer

    @classmethod
    def from_files(cls, read: Callable[[str], bytes | bytearray]) -> SoundInputs:
        """What `files` gave.

        Args:
            read: Gives the content of a file by its name.
        """
        about = json.loads(bytes(read(ABOUT)))
        writes, counted = about.pop("writes"), about.pop("counted", False)
        spaced = about.pop("spaced", False)
        form = parse(SoundForm, about)
        if not writes:
            return cls(form)
        return cls(
            form,
            Writer(
                tokenizer=Tokenizer.from_json(bytes(read(FILE_NAME)).decode()),
                language=Ngram.from_json(bytes(read(COUNTS)).decode()) if counted else None,
                hop_seconds=form.features.hop_seconds,
                spaced=spaced,
            ),
        )

    def files(self) -> Mapping[str, bytes]:
        """`preprocessing.json` and, where it writes, `tokenizer.json` and `ngram.json`."""
        writer = self.writer
        counted = writer is not None and writer.language is not None
        about = self.form.model_dump(mode="json")
        about |= {"writes": writer is not None, "counted": counted}
        if writer is not None and writer.spaced:
            about["spaced"] = True
        files = {ABOUT: (json.dumps(about, indent=2) + "\n").encode()}
        if writer is not None:
            files[FILE_NAME] = writer.tokenizer.to_json().encode()
            if writer.language is not None:
                files[COUNTS] = writer.language.to_json().encode()
        return files

    def listed(self, given: Sequence[Given]) -> list[Given]:
        """Every sound, those of folders by name."""
        return [sound for item in given for sound in _expanded(item)]

    def named(self, item: Given, index: int) -> str:
        """The file, or `inputs[3]`."""
        return f"inputs[{index}]" if isinstance(item, bytes) else str(item)

    @property
    def at_once(self) -> int:
        """Sounds that go through a network together."""
        hop = self.form.features.hop_seconds
        return max(1, min(64, int(FRAMES_AT_ONCE * hop / self.form.seconds)))

    def samples(self, items: Sequence[Given], start: int) -> SoundSamples:
        """Features of some of the sounds, with nothing known of them."""
        frames, seconds = [], []
        for index, item in enumerate(items, start):
            try:
                wave = self.form.wave(_bytes(item), MOST_SECONDS)
            except DataError as error:
                raise DataError(f"{self.named(item, index)}: {error}") from None
            seconds.append(len(wave) / self.form.rate)
            parts = [torch.from_numpy(part) for part in self.form.windows(wave)]
            heard = [self.form.filled(self.form.normal(self.form.frames(part))) for part in parts]
            frames.append(torch.cat(heard))
        return SoundSamples(
            frames=frames,
            labels=torch.full((len(items),), UNKNOWN),
            ids=torch.arange(start, start + len(items)),
            writer=self.writer,
            seconds=seconds,
        )


def _bytes(item: Given) -> bytes:
    return item if isinstance(item, bytes) else read_file(Stored.at(Path(item)))


def _expanded(given: Given) -> Sequence[Given]:
    """A folder's sounds by name; anything else is itself."""
    if isinstance(given, bytes):
        return [given]
    if not isinstance(given, str | Path):
        raise DataError(f"got {type(given).__name__}; wanted a file of sound, or its bytes")
    place = existing(str(given), "a file of sound, or a folder of them")
    if not place.is_dir():
        return [given]
    found = [
        place / relative
        for relative, is_folder in below(place)
        if not is_folder and relative.suffix.lower() in SUFFIXES
    ]
    if not found:
        raise DataError(f"{given}: holds no sounds ({', '.join(SUFFIXES)})")
    return list(found)
