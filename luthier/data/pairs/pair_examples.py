"""A split of pairs that is ready to be read.

Dimension key, for the whole file:
    B  rows of a batch      N  rows of the split
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
from luthier.data.pairs.found import PairRow
from luthier.data.text.labelled.text_examples import rows_at_once
from luthier.data.text.rows.ragged import Ragged
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.signal import Signal


@dataclass(frozen=True, kw_only=True)
class PairSamples:
    """Sources, and what is to be written of them."""

    sources: Sequence[NDArray[np.int32]]
    """The tokens of each, with those around them."""
    targets: Sequence[NDArray[np.int32]] | None
    """The tokens of each, with the end where it is not cut off; none where it is not known."""
    rows: Sequence[PairRow] | None
    """As they were read; none where what is to be written is not known."""
    tokenizer: Tokenizer
    """Of what is written."""
    ids: Tensor
    """`(B,)` int64, the rows' numbers in their split."""


@dataclass(frozen=True, kw_only=True)
class PairExamples:
    """The rows of one split, all tokens in two arrays."""

    split: Split
    rows: Sequence[PairRow]
    """`(N,)`, as they were read."""
    sources: Ragged
    targets: Ragged
    signal: Signal
    """The form and shape of one source."""
    tokenizer: Tokenizer
    """Of what is written."""

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rows)

    @property
    def lengths(self) -> Rows:
        """`(N,)` tokens of both sides of each."""
        return self.sources.lengths + self.targets.lengths

    @cached_property
    def at_once(self) -> int:
        """Rows that go through a network together where nothing is learned."""
        return rows_at_once(self.lengths)

    def read(self, ids: NDArray[np.int64], epoch: int) -> PairSamples:
        """The rows `ids`; the same in each epoch."""
        numbers = ids.tolist()
        return PairSamples(
            sources=[self.sources[row] for row in numbers],
            targets=[self.targets[row] for row in numbers],
            rows=[self.rows[row] for row in numbers],
            tokenizer=self.tokenizer,
            ids=torch.from_numpy(np.array(ids, dtype=np.int64)),
        )

    def plain(self) -> PairExamples:
        """The same rows: nothing is random about them."""
        return self

    def name(self, row: int) -> str:
        """Where a row stands: `train.en line 3`."""
        return self.rows[row].name
