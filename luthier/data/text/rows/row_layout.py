"""Segments of documents laid out in rows.

Dimension key, for the whole file:
    B  rows of a batch      S  tokens of a row: the context, and what is ahead of it
    P  segments of the batch
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.text.rows.bin_packing import Numbers
from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.packing import Cut, Segments
from luthier.data.text.rows.ragged import places
from luthier.data.text.rows.samples import PADDING, RowSamples
from luthier.data.text.rows.stream import TokenStream
from luthier.errors import DataError


@dataclass(frozen=True, kw_only=True)
class RowForm:
    """What all rows of a data set have in common."""

    context: int
    """The most tokens that a network reads at once."""
    ahead: int
    """Tokens that a row holds beyond it."""
    framing: Framing
    packing: bool
    """Whether a row holds several segments, where they are short."""
    vocab: int
    whole: bool = False
    """Whether a document is a single segment, and what is beyond a row is cut off: of a
    conversation, the rest would be read without its beginning."""

    @property
    def capacity(self) -> int:
        """Tokens of a full row."""
        return self.context + self.ahead

    @property
    def cut(self) -> Cut:
        """How documents are cut.

        Raises:
            DataError: If the tokens around a segment leave no room for its own.
        """
        around = self.framing.tokens_of_a_segment
        if self.context <= around:
            raise DataError(
                f"data.context: got {self.context}; with the tokens around a text, wanted at "
                f"least {around + 1}"
            )
        return Cut(self.capacity - around, self.ahead)


def laid_out(
    stream: TokenStream,
    form: RowForm,
    segments: Segments,
    row: Numbers,
    ids: Numbers,
    width: int | None,
    seed: int,
    epoch: int,
) -> RowSamples:
    """The segments one after the other in their rows, each in its frame; padding behind them.

    Args:
        stream: What they are segments of.
        form: Of the rows.
        segments: Those of the first row, then those of the second and so on.
        row: `(P,)`, which row each is in, from 0, rising.
        ids: `(B,)`, the numbers of the rows.
        width: S; none means that of the longest row.
        seed: Of what a task draws for the rows.
        epoch: That they are read for.
    """
    framing = form.framing
    opening, closing = framing.segment_opening, framing.segment_closing
    whole = segments.lengths.astype(np.int64) + framing.tokens_of_a_segment
    filled = np.bincount(row, weights=whole, minlength=len(ids)).astype(np.int64)
    width = int(filled.max()) if width is None else width
    place = np.cumsum(whole) - whole  # with all rows end to end, and no padding
    place += (row * width) - (np.cumsum(filled) - filled)[row]
    inner = place + (opening is not None)
    lengths = whole - framing.tokens_of_a_segment
    source, target = places(segments.starts, lengths), places(inner, lengths)
    tokens = np.zeros(len(ids) * width, dtype=np.int64)
    tokens[target] = stream.tokens[source]
    bytes_of = np.zeros(len(ids) * width, dtype=np.int64)
    bytes_of[target] = stream.bytes[source]
    if opening is not None:
        tokens[place] = opening
    if closing is not None:
        tokens[place + whole - 1] = closing
    words_BS = None
    if stream.words is not None:
        words = np.zeros(len(ids) * width, dtype=np.int64)
        words[target] = stream.words[source]
        words[inner] = 0  # the word's first token is not in this segment
        words_BS = _rows(words, width)
    learned_BS = None
    if stream.learned is not None:
        learned = np.zeros(len(ids) * width, dtype=bool)
        learned[target] = stream.learned[source]
        learned_BS = torch.from_numpy(learned).view(-1, width)
    single = len(row) == len(ids) and bool((whole == width).all())
    return RowSamples(
        tokens_BS=_rows(tokens, width),
        documents_BS=None if single else _documents(row, place, whole, len(ids), width),
        bytes_BS=_rows(bytes_of, width),
        words_BS=words_BS,
        ids=torch.from_numpy(np.array(ids, dtype=np.int64)),
        seed=seed,
        epoch=epoch,
        learned_BS=learned_BS,
    )


def _documents(row: Numbers, place: Numbers, whole: Numbers, rows: int, width: int) -> Tensor:
    """`(B, S)`, the number of each position's segment in its row."""
    first = np.searchsorted(row, np.arange(rows))
    documents = np.full(rows * width, PADDING, dtype=np.int64)
    documents[places(place, whole)] = np.repeat(np.arange(len(row)) - first[row], whole)
    return _rows(documents, width)


def _rows(flat: NDArray[np.int64], width: int) -> Tensor:
    return torch.from_numpy(flat).view(-1, width)
