"""A split of sounds that is ready to be read.

Dimension key, for the whole file:
    B  rows of a batch      N  frames of a sound      M  values of a frame
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.collection import Rows, Split
from luthier.data.sound.augment import Draw, SoundAugment, sound_streams
from luthier.data.sound.form import SoundForm
from luthier.data.sound.ngram import Ngram
from luthier.data.sound.waves import Stretches
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.signal import Signal

FRAMES_AT_ONCE = 20_000
"""Of all sounds that go through a network together where nothing is learned."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """What makes texts of tokens."""

    tokenizer: Tokenizer
    language: Ngram | None
    """How likely tokens are behind others; none where nobody asks."""
    hop_seconds: float
    """From one frame to the next."""
    spaced: bool = False
    """Whether a text begins with a space, as its other words do: so a decoder that was learned
    from texts of all kinds writes them."""


@dataclass(frozen=True, kw_only=True)
class SoundSamples:
    """Sounds of different lengths, each a row."""

    frames: Sequence[Tensor]
    """`(N, M)` each, float32, normalised; at least one frame."""
    labels: Tensor
    """`(B,)` int64 class numbers; -1 where it is not known."""
    ids: Tensor
    """`(B,)` int64, the rows' numbers in their split."""
    tokens: Sequence[NDArray[np.int32]] | None = None
    """What is said in each, as tokens; none where it is not known."""
    texts: Sequence[str] = ()
    """The same, as it was read."""
    writer: Writer | None = None
    """What makes texts of tokens; none where nobody asks what is said."""
    seconds: Sequence[float] = ()
    """Of each sound, before it is filled up; empty where nobody asks."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What is said in the rows of a split."""

    texts: Sequence[str]
    tokens: Sequence[NDArray[np.int32]]
    writer: Writer

    @classmethod
    def of(cls, texts: Sequence[str], writer: Writer) -> Said:
        """Texts, with the tokens that a writer makes of them."""
        space = " " if writer.spaced else ""
        pieces = writer.tokenizer.encode([space + text for text in texts])
        tokens = [piece.tokens.astype(np.int32) for piece in pieces]
        return cls(texts=texts, tokens=tokens, writer=writer)


class SoundExamples:
    """The rows of one split.

    Args:
        split: Which one.
        rows: Their numbers in `waves` and `frames`.
        names: What a person calls each of them.
        labels: `(rows,)` class numbers; -1 where there are none.
        waves: The samples of all sounds.
        frames: The features of all sounds, before they are normalised.
        form: From samples to features.
        said: What is said in them; none where nobody asks.
    """

    def __init__(
        self,
        split: Split,
        rows: Rows,
        names: Sequence[str],
        labels: Rows,
        waves: Stretches,
        frames: Stretches,
        form: SoundForm,
        said: Said | None = None,
    ) -> None:
        self.split = split
        self.rows = rows
        self.names = names
        self.labels = labels
        self.waves = waves
        self.frames = frames
        self.form = form
        self.said = said
        self.augment: tuple[tuple[str, SoundAugment], ...] = ()
        self.seed = 0
        longest = form.filled_frames or max(int(self.lengths.max()), 1)
        self._signal = Signal("sequence", (longest, form.width))

    def augmented(self, augment: Sequence[SoundAugment], seed: int) -> SoundExamples:
        """The same rows, changed at random.

        Args:
            augment: Changes, in this order.
            seed: Of the run.
        """
        changed = self.plain()
        changed.augment = tuple(zip(sound_streams(augment), augment, strict=True))
        changed.seed = seed
        return changed

    @property
    def signal(self) -> Signal:
        """As many frames as the longest has, and the values of one."""
        return self._signal

    @property
    def lengths(self) -> Rows:
        """`(rows,)` frames of each, unchanged."""
        return self.frames.lengths[self.rows]

    @property
    def at_once(self) -> int:
        """Rows of about `FRAMES_AT_ONCE` frames, filled up to the longest."""
        return max(1, FRAMES_AT_ONCE // self._signal.shape[0])

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def read(self, ids: NDArray[np.int64], epoch: int) -> SoundSamples:
        """The rows `ids`, as epoch `epoch` hears them."""
        said = self.said
        return SoundSamples(
            frames=[self._row(int(row), epoch) for row in ids],
            labels=torch.from_numpy(self.labels[ids]),
            ids=torch.from_numpy(ids),
            tokens=None if said is None else [said.tokens[int(row)] for row in ids],
            texts=() if said is None else [said.texts[int(row)] for row in ids],
            writer=None if said is None else said.writer,
        )

    def plain(self) -> SoundExamples:
        """The same rows with nothing random about them."""
        return SoundExamples(
            self.split,
            self.rows,
            self.names,
            self.labels,
            self.waves,
            self.frames,
            self.form,
            self.said,
        )

    def heard_by(self, form: SoundForm, writer: Writer | None) -> SoundExamples:
        """The same rows, unchanged, as another model hears and writes them.

        Args:
            form: Of the same rate and features.
            writer: Makes tokens of what is said; none where it does not write.
        """
        assert (form.rate, form.features) == (self.form.rate, self.form.features)
        said = None
        if self.said is not None and writer is not None:
            said = Said.of(self.said.texts, writer)
        return SoundExamples(
            self.split, self.rows, self.names, self.labels, self.waves, self.frames, form, said
        )

    def name(self, row: int) -> str:
        """The file of a row."""
        return self.names[row]

    def picture(self, row: int) -> NDArray[np.uint8]:
        """The features of a row for people to look at, low ones below: `(M, N, 1)`."""
        x_NM = self.frames[int(self.rows[row])].astype(np.float64)
        low, high = np.quantile(x_NM, (0.02, 0.998))
        shades = (x_NM - low) / max(high - low, 1e-9)
        picture = np.rint(shades.clip(0, 1) * 255).astype(np.uint8).T[::-1, :, None]
        return np.ascontiguousarray(picture)

    def _row(self, row: int, epoch: int) -> Tensor:
        number = int(self.rows[row])
        of_samples = [(s, change) for s, change in self.augment if change.of == "samples"]
        if of_samples:
            wave_T = torch.from_numpy(self.waves[number])
            for stream, change in of_samples:
                wave_T = change.apply(wave_T, Draw(self.seed, epoch, row, stream))
            frames_NM = self.form.frames(wave_T)
        else:
            frames_NM = torch.from_numpy(self.frames[number])
        frames_NM = self.form.normal(frames_NM)
        for stream, change in self.augment:
            if change.of == "features":
                frames_NM = change.apply(frames_NM, Draw(self.seed, epoch, row, stream))
        return self.form.filled(frames_NM)
