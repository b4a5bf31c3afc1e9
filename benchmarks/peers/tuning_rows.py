"""The conversations that every peer of the fine-tuning benchmark reads, with numpy alone.

Which token is learned is said once, in the file, and no peer decides it anew.

Dimension key:
    T  tokens of all conversations
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

HELD_OUT = 32
"""Conversations that nobody trains on."""


@dataclass(frozen=True)
class Conversations:
    """Conversations as tokens, one after the other."""

    tokens_T: np.ndarray
    """int32."""
    learned_T: np.ndarray
    """bool, whether a token is predicted."""
    lengths: np.ndarray

    def __len__(self) -> int:
        """How many they are."""
        return len(self.lengths)

    def __getitem__(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        """The tokens of one, int64, and which of them are learned."""
        here = slice(int(self.starts[at]), int(self.starts[at + 1]))
        return self.tokens_T[here].astype(np.int64), self.learned_T[here]

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each begins, and T."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def learned(self) -> int:
        """Tokens that are predicted."""
        return int(self.learned_T.sum())

    @property
    def learned_lengths(self) -> np.ndarray:
        """Of each conversation."""
        return np.add.reduceat(self.learned_T.astype(np.int64), self.starts[:-1])

    def part(self, first: int, behind: int) -> Conversations:
        """Those from `first` to before `behind`.

        Raises:
            ValueError: If there are not as many.
        """
        if not 0 <= first < behind <= len(self):
            raise ValueError(f"got {len(self)} conversations, wanted {behind}; take fewer steps")
        here = slice(int(self.starts[first]), int(self.starts[behind]))
        return Conversations(self.tokens_T[here], self.learned_T[here], self.lengths[first:behind])


def folder(cache: Path, kind: str) -> Path:
    """The Hugging Face folder of a network, with the conversations in its tokens."""
    return cache / kind


def read(cache: Path, kind: str, rows: int) -> tuple[Conversations, Conversations]:
    """So many to train on, and those that are held out."""
    with np.load(folder(cache, kind) / "conversations.npz") as arrays:
        found = Conversations(arrays["tokens"], arrays["learned"], arrays["lengths"])
    kept = len(found) - HELD_OUT
    return found.part(0, kept).part(0, rows), found.part(kept, len(found))


def write(
    conversations: Sequence[tuple[Sequence[int], Sequence[bool]]], context: int, file: Path
) -> int:
    """Writes conversations in an order by chance, each cut to the context.

    Those of which nothing to learn is left are left out.

    Returns:
        How many were written.
    """
    cut = [(tokens[:context], learned[:context]) for tokens, learned in conversations]
    kept = [row for row in cut if any(row[1])]
    order = np.random.default_rng(0).permutation(len(kept))
    np.savez(
        file,
        tokens=np.concatenate([np.array(kept[at][0], np.int32) for at in order]),
        learned=np.concatenate([np.array(kept[at][1], bool) for at in order]),
        lengths=np.array([len(kept[at][0]) for at in order], np.int64),
    )
    return len(kept)
