"""From texts, or pairs of them, to the tokens that a network reads.

Dimension key, for the whole file:
    N  texts      M  tokens of all texts
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from luthier.data.chat.form import ChatForm
from luthier.data.collection import Rows
from luthier.data.text.labelled.found import CutOff, TextRow
from luthier.data.text.labelled.words import Division
from luthier.data.text.rows.ragged import Ragged, offsets_of, places
from luthier.data.text.rows.samples import PADDING
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError
from luthier.spec import Spec

BATCH = 4096
"""Texts that are encoded between two looks at the progress."""


class TextForm(Spec):
    """How a text becomes the tokens that a network reads: kept with a finished model."""

    kind: Literal["text"] = "text"
    context: int = Field(ge=1)
    """The most tokens of one text, with those around it."""
    cut: CutOff = "end"
    """What is cut off of a text that is longer."""
    framed: bool = False
    """Whether a text stands between the first token and a separator."""
    pairs: bool = False
    """Whether texts come in pairs, a separator between them."""
    words: Division | None = None
    """What divides a text into words that get tags; none where no words are asked for."""
    masks: bool = False
    """Whether the name of the mask token stands for a word that is left out."""
    chat: ChatForm | None = None
    """How conversations become texts; none where the model learned of none."""
    overlap: int | None = Field(default=None, ge=0)
    """Tokens that two windows of a context have in common, where answers are looked for in it;
    none where texts are cut."""
    matches: bool = False
    """Whether tokens of a context that the question has too are of a kind of their own."""


@dataclass(frozen=True, kw_only=True)
class Raw:
    """Texts as tokens, with nothing cut and nothing around them."""

    texts: Ragged
    seconds: Ragged | None
    """The other texts of pairs."""
    words: NDArray[np.int32] | None
    """`(M,)`, the number of each token's word."""
    text_bytes: int
    """Of all texts, in UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Texts as a network reads them."""

    tokens: Ragged
    seconds: Rows | None
    """`(N,)`, where the second text of a pair begins."""
    words: NDArray[np.int32] | None
    """`(M,)`, the number of each token's word, `PADDING` of those around the text."""
    whole: Rows
    """`(N,)` tokens of each before anything was cut off."""
    cut: Rows
    """The rows of which something was."""
    text_bytes: int
    """Of all texts before anything was cut off, in UTF-8."""


def encode(
    rows: Sequence[TextRow], tokenizer: Tokenizer, told: Callable[[int], None] | None = None
) -> Raw:
    """The tokens of some texts.

    Args:
        rows: All of a kind: pairs or not, with words or not.
        tokenizer: Makes tokens of them.
        told: Called with the number of texts that are done.
    """
    worded = any(row.words is not None for row in rows)
    paired = any(row.second is not None for row in rows)
    texts, seconds, words = [], [], []
    size = 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        pieces = (
            tokenizer.encode_words([row.words or () for row in batch])
            if worded
            else tokenizer.encode([row.text for row in batch])
        )
        others = tokenizer.encode([row.second or "" for row in batch]) if paired else []
        texts += [piece.tokens for piece in pieces]
        seconds += [piece.tokens for piece in others]
        words += [piece.words for piece in pieces] if worded else []
        size += sum(int(piece.bytes.sum(dtype=np.int64)) for piece in (*pieces, *others))
        if told:
            told(start + len(batch))
    return Raw(
        texts=Ragged.of(texts),
        seconds=Ragged.of(seconds) if paired else None,
        words=Ragged.of(words).values if worded else None,
        text_bytes=size,
    )


def whole_lengths(raw: Raw, form: TextForm) -> Rows:
    """`(N,)`, the tokens of each text with those around it, before any is cut."""
    return _own_lengths(raw) + _frame(form)


def shape(raw: Raw, tokenizer: Tokenizer, form: TextForm) -> Encoded:
    """Texts cut to the context, with the tokens around them.

    Raises:
        DataError: If the tokenizer lacks a token that goes around texts, or nothing of a text
            would be left.
    """
    room = form.context - _frame(form)
    if room < 1 + form.pairs:
        raise DataError(
            f"data.context: got {form.context}; with the tokens around a text, wanted at least "
            f"{_frame(form) + 1 + form.pairs}"
        )
    ends = form.cut == "start"
    kept, kept_second = _kept(raw, room)
    texts = raw.texts.kept(kept, ends=ends)
    lengths = kept + _frame(form) + (0 if kept_second is None else kept_second)
    offsets = offsets_of(lengths)
    tokens = np.empty(offsets[-1], dtype=np.int32)
    words = None
    if form.framed:
        tokens[offsets[:-1]] = _special(tokenizer, "first")
        tokens[offsets[1:] - 1] = _special(tokenizer, "separator")
    starts = offsets[:-1] + form.framed
    tokens[places(starts, kept)] = texts.values
    if raw.words is not None:
        words = np.full(offsets[-1], PADDING, dtype=np.int32)
        numbers = Ragged(raw.words, raw.texts.offsets).kept(kept, ends=ends)
        words[places(starts, kept)] = numbers.values
    seconds = None
    if raw.seconds is not None and kept_second is not None:
        tokens[starts + kept] = _special(tokenizer, "separator")
        seconds = kept + 1 + form.framed
        others = raw.seconds.kept(kept_second, ends=ends)
        tokens[places(offsets[:-1] + seconds, kept_second)] = others.values
    return Encoded(
        tokens=Ragged(tokens, offsets),
        seconds=seconds,
        words=words,
        whole=whole_lengths(raw, form),
        cut=np.flatnonzero(_own_lengths(raw) > room),
        text_bytes=raw.text_bytes,
    )


def _own_lengths(raw: Raw) -> Rows:
    return raw.texts.lengths + (0 if raw.seconds is None else raw.seconds.lengths)


def _frame(form: TextForm) -> int:
    """Tokens beside those of the texts."""
    return 2 * form.framed + form.pairs


def _kept(raw: Raw, room: int) -> tuple[Rows, Rows | None]:
    """Tokens that are kept of each text, and of its second: the longer one is cut first."""
    own = raw.texts.lengths
    if raw.seconds is None:
        return np.minimum(own, room), None
    other = raw.seconds.lengths
    shorter = np.minimum(np.minimum(own, other), room // 2)
    longer = np.minimum(np.maximum(own, other), room - shorter)
    is_longer = own >= other
    return np.where(is_longer, longer, shorter), np.where(is_longer, shorter, longer)


def _special(tokenizer: Tokenizer, name: Literal["first", "separator"]) -> int:
    number = tokenizer.special(name)
    if number is None and name == "separator":
        number = tokenizer.special("end")  # as around the documents that masked tokens are of
    if number is None:
        what = {
            "first": "first token, which data.first asks for",
            "separator": "separator, which stands behind a text or between the two of a pair",
        }[name]
        raise DataError(f"the tokenizer has no {what}; train one, or set data.first=false")
    return number
