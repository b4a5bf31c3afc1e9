"""luthier's GPT on speeches of unequal length, packed: documents do not see each other.

A chunk is one pass over the same documents as the other peers', put together in rows of the
context by luthier's own packing.
"""

from __future__ import annotations

import dataclasses

import language_data
import language_gpt
import language_protocol
import luthier_language
import numpy as np
import torch
from language_sizes import GPTS
from luthier_gpt import END, gpt2

from luthier.data.target import Documents
from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.packing import Cut, Segments, packed
from luthier.data.text.rows.row_layout import RowForm, laid_out
from luthier.data.text.rows.samples import RowSamples
from luthier.data.text.rows.stream import TokenStream
from luthier.signal import Signal

SIZE = GPTS["5m"]
KIND = "packed"


class PackedRows:
    """Documents as rows of the context, and the target ahead of it."""

    def __init__(self, documents: language_data.Texts) -> None:
        starts = np.concatenate([[0], np.cumsum(documents.lengths)])
        nothing = np.zeros(len(documents.tokens_T), np.uint16)
        self._stream = TokenStream(documents.tokens_T, nothing, None, starts)
        # The documents have their end tokens.
        self._form = RowForm(
            context=SIZE.context,
            ahead=1,
            framing=Framing(None, None, each_segment=False),
            packing=True,
            vocab=SIZE.vocab,
        )
        cut = Cut(self._form.capacity, 1)
        self._rows = packed(Segments.of(starts[:-1], documents.lengths, cut), cut.payload)

    def __len__(self) -> int:
        return len(self._rows)

    def samples(self, ids: np.ndarray) -> RowSamples:
        """Some of the rows."""
        firsts = self._rows.firsts
        sizes = firsts[ids + 1] - firsts[ids]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        chosen = self._rows.segments.chosen(np.repeat(firsts[ids], sizes) + within)
        row = np.repeat(np.arange(len(ids)), sizes)
        capacity = self._form.capacity
        return laid_out(self._stream, self._form, chosen, row, ids, capacity, seed=0, epoch=0)


def main() -> None:
    """Trains as ordered, and reports."""
    order = language_protocol.order_of(language_protocol.parser(__doc__, (KIND,)).parse_args())
    torch.manual_seed(order.seed)
    folder = language_data.bpe_folder(order.cache, SIZE.vocab)
    speeches = language_data.read_texts(folder / "speeches.npz")
    documents = speeches.first(order.chunk_steps * SIZE.rows)
    rows = PackedRows(documents)
    # The last rows of a pass are a batch too, if a short one: nothing is left out.
    order = dataclasses.replace(order, chunk_steps=-(-len(rows) // SIZE.rows))
    stream = language_data.read_stream(order.cache, SIZE, order.seed)
    ours = luthier_language.made(
        order,
        gpt2(SIZE, order),
        Signal.tokens(context=SIZE.context, vocab=SIZE.vocab),
        Documents(vocab=SIZE.vocab, specials={"end": END}),
    )

    def samples(step: int) -> RowSamples:
        first = step % order.chunk_steps * SIZE.rows
        return rows.samples(np.arange(first, min(first + SIZE.rows, len(rows))))

    def loss() -> float:
        return language_gpt.validation_loss(ours.network, stream)

    training = language_protocol.Training(order, luthier_language.evaluated(ours, loss))
    luthier_language.train(ours, samples, training)
    lengths = documents.lengths
    training.report(
        units=int(lengths.sum()),
        flops=sum(SIZE.training_flops(int(length)) for length in lengths) / int(lengths.sum()),
        parameters=ours.parameters,
    )


if __name__ == "__main__":
    main()
