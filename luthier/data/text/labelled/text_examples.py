"""A split of texts that is ready to be read.

Dimension key, for the whole file:
    B  rows of a batch      N  rows of the split      T  tokens of a text      W  words of a text
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from luthier.data.collection import Rows, Split
from luthier.data.text.labelled.encoding import Encoded
from luthier.data.text.labelled.found import TextRow
from luthier.data.text.rows.ragged import Ragged
from luthier.data.text.rows.samples import Text, TextSamples
from luthier.signal import Signal

TOKENS_AT_ONCE = 2**14
MOST_PADDED = 4
"""Times as many tokens may go through at once where texts are filled up to the longest."""


@dataclass(frozen=True, kw_only=True)
class TextExamples:
    """The rows of one split, all tokens in one array."""

    split: Split
    rows: Sequence[TextRow]
    """`(N,)`, as they were read."""
    encoded: Encoded
    labels: Rows
    """`(N,)` class numbers; -1 where texts have tags alone."""
    tags: Ragged | None
    """The tags of the words of each."""
    signal: Signal
    """The form and shape of one input."""
    pad: int = 0
    """The token that fills up short rows, for networks that know nothing of where texts lie."""

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rows)

    @property
    def lengths(self) -> Rows:
        """`(N,)` tokens of each: so that rows of like lengths can go together."""
        return self.encoded.tokens.lengths

    @cached_property
    def at_once(self) -> int:
        """Rows of about `TOKENS_AT_ONCE` tokens."""
        return rows_at_once(self.lengths)

    def read(self, ids: NDArray[np.int64], epoch: int) -> TextSamples:
        """The rows `ids`; the same in each epoch."""
        return TextSamples(
            texts=[self._text(int(row)) for row in ids],
            labels=torch.from_numpy(self.labels[ids]),
            ids=torch.from_numpy(ids),
            pad=self.pad,
        )

    def plain(self) -> TextExamples:
        """The same rows: nothing is random about them."""
        return self

    def name(self, row: int) -> str:
        """Where a row stands: `dev.tsv line 3`."""
        return self.rows[row].name

    def text(self, row: int) -> str:
        """A row as it was read; the two texts of a pair with a line break between them."""
        found = self.rows[row]
        return found.text if found.second is None else f"{found.text}\n{found.second}"

    def _text(self, row: int) -> Text:
        return text_of(self.encoded, row, tags=None if self.tags is None else self.tags[row])


def text_of(
    encoded: Encoded,
    row: int,
    *,
    tags: NDArray[np.int32] | None = None,
    written: Sequence[str] | None = None,
) -> Text:
    """One of the texts, as a task's `collate` reads it."""
    tokens = encoded.tokens
    begin, end = int(tokens.offsets[row]), int(tokens.offsets[row + 1])
    types = None
    if encoded.seconds is not None:
        types = np.zeros(end - begin, dtype=np.int32)
        types[encoded.seconds[row] :] = 1
    return Text(
        tokens=tokens.values[begin:end],
        types=types,
        words=None if encoded.words is None else encoded.words[begin:end],
        tags=tags,
        written=written,
    )


def rows_at_once(lengths: Rows) -> int:
    """Rows of these lengths that go through a network together where nothing is learned.

    Example:
        >>> rows_at_once(np.full(1000, 32))
        512
    """
    if not len(lengths):
        return 1
    usual = TOKENS_AT_ONCE / max(float(lengths.mean()), 1.0)
    padded = MOST_PADDED * TOKENS_AT_ONCE / max(int(lengths.max()), 1)
    return max(1, int(min(usual, padded)))
