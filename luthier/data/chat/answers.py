"""Answers to compare, as tokens: what a preference task reads.

Dimension key, for the whole file:
    B  rows of a batch      A  answers of a batch
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.chat.tokens import ChatTokens
from luthier.data.collection import Split
from luthier.data.text.labelled.text_examples import rows_at_once
from luthier.signal import Signal


@dataclass(frozen=True, kw_only=True)
class AnswerSamples:
    """Rows with one or more answers each."""

    answers: Sequence[ChatTokens]
    """`(A,)`: of each row the first, then of each the second. Of pairs, the better answers and then
    the worse ones. Of single ones, each answer to its own question and then to another's, by
    which it is measured how far the network has moved on what it is not taught."""
    good_B: Tensor | None
    """bool, whether the answer of each row is a good one; none of pairs."""
    reference_A: Tensor | None
    """float64, the logarithm of each answer's probability by the network that training began
    with; none where nobody asked."""
    ids: Tensor
    """`(B,)` int64, the rows' numbers in their split."""


class AnswerExamples:
    """The rows of one split.

    Args:
        split: What it is called.
        answers: `(2, N)`, two answers of each row; or one, to its own question and to another's.
        good: `(N,)`, whether the answer of each row is a good one; none of pairs.
        signal: The longest input.
    """

    def __init__(
        self,
        split: Split,
        answers: Sequence[Sequence[ChatTokens]],
        good: NDArray[np.bool_] | None,
        signal: Signal,
    ) -> None:
        self.split = split
        self.answers = answers
        self.good = good
        self._signal = signal
        self.reference: NDArray[np.float64] | None = None
        """`(2, N)`, the logarithms of their probabilities by the network that training began
        with."""

    @property
    def signal(self) -> Signal:
        """The form and shape of one input."""
        return self._signal

    @property
    def lengths(self) -> NDArray[np.int64]:
        """`(N,)` tokens of each row: so that rows of like lengths can go together."""
        both = [[len(row.tokens) for row in side] for side in self.answers]
        return np.asarray(np.array(both, dtype=np.int64).sum(0), dtype=np.int64)

    @property
    def at_once(self) -> int:
        """Rows that go through a network together where nothing is learned."""
        return rows_at_once(self.lengths)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.answers[0])

    def read(self, ids: NDArray[np.int64], epoch: int) -> AnswerSamples:
        """The rows `ids`; the same in each epoch."""
        numbers = ids.tolist()
        reference = None if self.reference is None else self.reference[:, ids].ravel()
        return AnswerSamples(
            answers=[side[number] for side in self.answers for number in numbers],
            good_B=None if self.good is None else torch.from_numpy(self.good[ids]),
            reference_A=None if reference is None else torch.from_numpy(reference),
            ids=torch.from_numpy(np.array(ids, dtype=np.int64)),
        )

    def plain(self) -> Self:
        """The same rows: nothing is random about them."""
        return self

    def name(self, row: int) -> str:
        """Where a row stands: `pairs.jsonl line 3`."""
        return self.answers[0][row].name
