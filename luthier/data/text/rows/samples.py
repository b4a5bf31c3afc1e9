"""What text data gives: rows of documents to learn a language from, or texts one by one.

Dimension key, for the whole file:
    B  rows of a batch      S  tokens of a row: the context, and what is ahead of it
    T  tokens of one text   W  words of one text
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.text.tokens.tokenizer import Tokenizer

PADDING = -1
"""The document of a position that holds none."""


@dataclass(frozen=True, kw_only=True)
class RowSamples:
    """Rows of a token stream, each with one or several documents, or a part of one."""

    tokens_BS: Tensor
    """int64. Padding holds some token or other."""
    documents_BS: Tensor | None
    """int64, which document of its row a token belongs to, from 0, rising; `PADDING` at the end
    of a row that is not full. None where each row is whole and of a single document."""
    bytes_BS: Tensor
    """int64, UTF-8 bytes of the source that a token stands for; 0 of special tokens."""
    words_BS: Tensor | None
    """int64, 1 where a token goes on with the word of the token before it, else 0; none where
    nobody asked."""
    ids: Tensor
    """`(B,)` int64, the rows' numbers in their split."""
    seed: int
    """What a task draws at random for a row, such as which tokens it masks, is a function of this,
    of `epoch` and of the row's id: so it is the same after a resume. The seed of the run; 0 where
    nothing may be random, so that all runs are measured on the same."""
    epoch: int
    """The epoch that the rows are read for; 0 where nothing may be random."""
    learned_BS: Tensor | None = None
    """bool, whether a token is predicted, as what an assistant says is; none where all are."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text, or a pair of them, as tokens."""

    tokens: NDArray[np.int32]
    """`(T,)`, at least one."""
    types: NDArray[np.int32] | None = None
    """`(T,)`, 1 in the second text of a pair, else 0; none where texts are no pairs."""
    words: NDArray[np.int32] | None = None
    """`(T,)`, the number of the word that a token belongs to, `PADDING` of special tokens; none
    where words have no tags."""
    tags: NDArray[np.int32] | None = None
    """`(W,)`, the tag of each word; none where it is not known. Where the text is cut off, more
    words than `words` has."""
    written: Sequence[str] | None = None
    """`(W,)`, each word as it stands in the text, with what is between it and the next: joined,
    some words are a part of the text. None where nobody reads it."""


@dataclass(frozen=True, kw_only=True)
class TextSamples:
    """Texts of different lengths, each a row."""

    texts: Sequence[Text]
    labels: Tensor
    """`(B,)` int64 class numbers; -1 where it is not known."""
    ids: Tensor
    """`(B,)` int64, the rows' numbers in their split."""
    pad: int = 0
    """The token that fills up short rows, for networks that know nothing of where texts lie."""
    tokenizer: Tokenizer | None = None
    """What made the tokens; none where nobody asks what a token says."""
