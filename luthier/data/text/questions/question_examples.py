"""A split of questions that is ready to be read.

Dimension key, for the whole file:
    N  questions of the split
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.collection import Rows, Split
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.labelled.text_examples import rows_at_once
from luthier.data.text.questions.asked import Asked, Encoded, Special, asked, frame
from luthier.data.text.questions.windows import windows_of
from luthier.signal import Signal


@dataclass(frozen=True, kw_only=True)
class QuestionSamples:
    """Some questions, each with all the windows of its context."""

    asked: Sequence[Asked]
    ids: Tensor
    """`(B,)` int64, the questions' numbers in their split."""
    pad: int = 0
    """The token that fills up short windows, for networks that know nothing of where texts lie."""


@dataclass(frozen=True, kw_only=True)
class QuestionExamples:
    """The questions of one split."""

    split: Split
    encoded: Encoded
    form: TextForm
    special: Special
    signal: Signal
    """The form and shape of one window."""
    pad: int = 0

    def __len__(self) -> int:
        """The number of questions."""
        return len(self.encoded)

    @cached_property
    def windows(self) -> Rows:
        """`(N,)` windows of each question's context."""
        assert self.form.overlap is not None
        rooms = [
            self.form.context - frame(self.form) - len(q.tokens) for q in self.encoded.questions
        ]
        return np.array(
            [
                len(windows_of(len(context.tokens), room, min(self.form.overlap, room - 1)))
                for room, context in zip(rooms, self.encoded.contexts, strict=True)
            ],
            dtype=np.int64,
        )

    @cached_property
    def at_once(self) -> int:
        """Questions that go through a network together where nothing is learned."""
        whole = self.encoded.lengths(self.form)
        longest = int(np.minimum(whole, self.form.context).max(initial=1))
        # No more than so many full windows, since a network may fill short ones up.
        return max(1, int(rows_at_once(np.full(len(self), longest)) / self.windows.mean()))

    def read(self, ids: NDArray[np.int64], epoch: int) -> QuestionSamples:
        """The questions `ids`; the same in each epoch."""
        return QuestionSamples(
            asked=[
                asked(self.encoded, int(row), self.special, self.form, known=True) for row in ids
            ],
            ids=torch.from_numpy(ids),
            pad=self.pad,
        )

    def plain(self) -> QuestionExamples:
        """The same questions: nothing is random about them."""
        return self

    def name(self, row: int) -> str:
        """Where a question stands: `dev.json question 56be4db0`."""
        return self.encoded.rows[row].name
