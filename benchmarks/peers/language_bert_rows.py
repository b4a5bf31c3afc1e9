"""What the BERT peers train on: excerpts of equal length, or SST-2's sentences at theirs."""

from __future__ import annotations

import language_data
import language_protocol
from language_data import Texts
from language_sizes import BERT

KINDS = ("equal", "real")
_EIGHT = 8


def read(order: language_protocol.Order) -> tuple[Texts, Texts]:
    """The rows of one chunk, over which each chunk passes, and the next ones for validation."""
    name = order.kind.partition("_")[0]
    texts = language_data.read_texts(language_data.wordpiece_folder(order.cache) / f"{name}.npz")
    rows = order.chunk_steps * BERT.rows
    both = texts.first(rows + language_data.VALIDATION_ROWS)
    used = int(both.lengths[:rows].sum())
    rest = Texts(both.tokens_T[used:], both.lengths[rows:], both.labels[rows:])
    return both.first(rows), rest


def width(*parts: Texts) -> int:
    """A fixed width that holds all rows: their longest, up to the next eight."""
    longest = max(int(part.lengths.max()) for part in parts)
    return -(-longest // _EIGHT) * _EIGHT


def flops(texts: Texts) -> float:
    """Of the training of a sequence, in the mean, without padding."""
    return sum(BERT.training_flops(int(length)) for length in texts.lengths) / len(texts)
