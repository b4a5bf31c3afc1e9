"""What the language peers read, with numpy alone: token streams, texts, and the order of both.

The order of a training is a function of the seed and the step: every peer reads the same rows.

Dimension key:
    T  tokens
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import language_sizes
import numpy as np

VALIDATION_ROWS = 64


@dataclass(frozen=True)
class Texts:
    """Texts of unequal lengths, as one array of tokens."""

    tokens_T: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        """How many they are."""
        return len(self.lengths)

    def __getitem__(self, at: int) -> np.ndarray:
        """The tokens of one, int64."""
        end = int(self._ends[at])
        return self.tokens_T[end - int(self.lengths[at]) : end].astype(np.int64)

    @cached_property
    def _ends(self) -> np.ndarray:
        return self.lengths.cumsum()

    def first(self, rows: int) -> Texts:
        """The first so many.

        Raises:
            ValueError: If they are fewer.
        """
        if rows > len(self):
            raise ValueError(f"got {len(self)} texts, wanted {rows}; take fewer steps")
        lengths = self.lengths[:rows]
        return Texts(self.tokens_T[: int(lengths.sum())], lengths, self.labels[:rows])

    def repeated(self, rows: int) -> Texts:
        """So many, from the first again where they are spent."""
        times = -(-rows // len(self))
        all_of_them = (self.tokens_T, self.lengths, self.labels)
        return Texts(*(np.tile(array, times) for array in all_of_them)).first(rows)

    def padded(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """All as one `(rows, width)` int32 array with 0 as padding, and where tokens are."""
        inside = np.arange(width) < self.lengths[:, None]
        tokens = np.zeros(inside.shape, np.int32)
        tokens[inside] = self.tokens_T
        return tokens, inside


@dataclass(frozen=True)
class Stream:
    """What one GPT trains on, and is evaluated on."""

    size: language_sizes.Gpt
    seed: int
    train_T: np.ndarray
    validation_T: np.ndarray

    def batch(self, step: int) -> np.ndarray:
        """`(rows, context + 1)` int64, at places by chance: inputs, and their last target."""
        size = self.size
        random = np.random.default_rng((self.seed, step))
        starts = random.integers(0, len(self.train_T) - size.context - 1, size=size.rows)
        return _rows(self.train_T, starts, size.context + 1)

    def validation(self) -> np.ndarray:
        """`(VALIDATION_ROWS, context + 1)` int64, spread evenly."""
        last = len(self.validation_T) - self.size.context - 1
        starts = np.linspace(0, last, VALIDATION_ROWS).astype(int)
        return _rows(self.validation_T, starts, self.size.context + 1)


def bpe_folder(cache: Path, vocab: int) -> Path:
    """Where a BPE of that vocabulary is, and its token files."""
    return cache / f"bpe_{vocab}"


def wordpiece_folder(cache: Path) -> Path:
    """Where the WordPiece is, and its token files."""
    return cache / "wordpiece"


def write_stream(tokens: np.ndarray, file: Path) -> None:
    """Writes tokens as uint16, and nothing else: the format of nanoGPT's .bin files."""
    tokens.astype(np.uint16).tofile(file)


def read_stream(cache: Path, size: language_sizes.Gpt, seed: int) -> Stream:
    """The stream of a GPT's vocabulary, mapped."""
    folder = bpe_folder(cache, size.vocab)
    train, validation = (
        np.memmap(folder / f"{name}.bin", np.uint16, mode="r") for name in ("train", "validation")
    )
    return Stream(size, seed, train, validation)


def read_excerpts(cache: Path, rows: int) -> tuple[Texts, Texts]:
    """The LSTM's so many training rows, in their order and again where they are spent, and those
    for validation."""
    folder = bpe_folder(cache, language_sizes.LSTM.vocab)
    train, validation = (
        read_texts(folder / f"excerpts_{name}.npz") for name in ("train", "validation")
    )
    return train.repeated(rows), validation


def write_texts(rows: Sequence[np.ndarray], labels: Sequence[int], file: Path) -> None:
    """Writes texts of unequal lengths."""
    np.savez(
        file,
        tokens=np.concatenate(rows),
        lengths=np.array([len(row) for row in rows], np.int64),
        labels=np.array(labels, np.int64),
    )


def read_texts(file: Path) -> Texts:
    """The texts of such a file."""
    with np.load(file) as arrays:
        return Texts(arrays["tokens"], arrays["lengths"], arrays["labels"])


def _rows(tokens_T: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    return np.stack([tokens_T[start : start + width] for start in starts]).astype(np.int64)
