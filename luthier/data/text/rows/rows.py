"""Rows of tokens, as a network reads them: windows of long documents, and segments put together.

Dimension key, for the whole file:
    B  rows of a batch      P  segments of a batch
"""

from __future__ import annotations

from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from luthier.data.text.rows.bin_packing import Numbers
from luthier.data.text.rows.packing import Segments, one_a_row, packed
from luthier.data.text.rows.row_layout import RowForm, laid_out
from luthier.data.text.rows.samples import RowSamples
from luthier.data.text.rows.stream import TokenStream
from luthier.data.text.rows.windows import SHIFTED_WINDOWS, Windows
from luthier.signal import Signal

TOKENS_AT_ONCE = 2**14


class RowExamples:
    """Rows of one split.

    In training, windows of long documents come first, elsewhere in each epoch, and then the other
    rows. Where nothing may be random, all documents are cut from their start on, so that each
    token is a target once.

    Args:
        stream: The tokens of the split.
        split: What it is called.
        form: Of the rows.
        seed: Of the run.
        random: Whether anything may be random.
    """

    def __init__(
        self, stream: TokenStream, split: str, form: RowForm, *, seed: int, random: bool
    ) -> None:
        self._stream = stream
        self._split = split
        self._form = form
        self._seed = seed
        self._random = random
        starts, lengths = stream.starts[:-1], stream.lengths
        if form.whole:
            lengths = np.minimum(lengths, form.capacity)
        long = lengths - form.ahead >= SHIFTED_WINDOWS * form.cut.step
        long &= random
        self._windows = Windows.of(starts[long], lengths[long], form.cut)
        segments = Segments.of(starts[~long], lengths[~long], form.cut)
        framing = form.framing.tokens_of_a_segment
        if form.packing:
            self._rows = packed(segments, form.capacity, framing)
        else:
            self._rows = one_a_row(segments)
        filled = self._rows.filled(framing)
        self._tokens = int(filled.sum()) + len(self._windows) * form.capacity
        longest = form.capacity if len(self._windows) else int(filled.max(initial=0))
        self._width = longest if form.packing else None

    @property
    def signal(self) -> Signal:
        """The longest input."""
        return Signal.tokens(self._form.context, self._form.vocab)

    @property
    def at_once(self) -> int:
        """Rows of about `TOKENS_AT_ONCE` tokens."""
        return max(TOKENS_AT_ONCE // self._form.capacity, 1)

    def __len__(self) -> int:
        return len(self._windows) + len(self._rows)

    @cached_property
    def fill(self) -> float:
        """The share of full rows that holds tokens."""
        return self._tokens / max(len(self) * self._form.capacity, 1)

    def name(self, row: int) -> str:
        """`train[12]`."""
        return f"{self._split}[{row}]"

    def plain(self) -> Self:
        """The documents cut from their start on."""
        if not self._random:
            return self
        cls = type(self)
        return cls(self._stream, self._split, self._form, seed=self._seed, random=False)

    def read(self, ids: NDArray[np.int64], epoch: int) -> RowSamples:
        """The rows `ids`; of full length, or of the longest of them where rows are not packed."""
        seed, epoch = (self._seed, epoch) if self._random else (0, 0)
        segments, row = self._segments(np.asarray(ids, dtype=np.int64), epoch)
        return laid_out(self._stream, self._form, segments, row, ids, self._width, seed, epoch)

    def _segments(self, ids: Numbers, epoch: int) -> tuple[Segments, Numbers]:
        """`(P,)`, the segments of the rows in order, and the place in `ids` of the row of each."""
        is_window = ids < len(self._windows)
        firsts = self._rows.firsts
        in_rows = np.where(is_window, 0, ids - len(self._windows))
        begins = firsts[in_rows]
        ends = firsts[np.minimum(in_rows + 1, len(firsts) - 1)]
        counts = np.where(is_window, 1, ends - begins)
        row = np.repeat(np.arange(len(ids)), counts)
        number = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        of_window = is_window[row]
        which = (begins[row] + number)[~of_window]
        starts = np.empty(len(row), dtype=np.int64)
        lengths = np.full(len(row), self._form.cut.payload, dtype=np.int32)
        starts[of_window] = self._windows.places(ids[is_window], self._seed, epoch)
        starts[~of_window] = self._rows.segments.starts[which]
        lengths[~of_window] = self._rows.segments.lengths[which]
        return Segments(starts, lengths), row
