"""Texts in which somebody left out words, with the name of the mask token in their place."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.data.text.labelled.encoding import Raw
from luthier.data.text.labelled.found import TextRow
from luthier.data.text.rows.ragged import Ragged
from luthier.data.text.tokens.tokenizer import VISIBLE_SPACE, Tokenizer

ANY_MASK = "[MASK]"
"""What stands for a mask in every text, whatever the tokenizer calls it: BERT's name for it."""


def encode_with_masks(rows: Sequence[TextRow], tokenizer: Tokenizer) -> Raw:
    """The tokens of texts, where the mask's name, or `ANY_MASK`, is the mask.

    Everywhere else the name of a special token is text like any other.

    Args:
        rows: Single texts.
        tokenizer: With a mask token.
    """
    mask = tokenizer.special("mask")
    assert mask is not None, "a tokenizer without a mask"
    names = "|".join(map(re.escape, (tokenizer.token_text(mask), ANY_MASK)))
    takes_space = _takes_space(tokenizer)
    parts = [re.split(names, row.text) for row in rows]
    for split in parts:
        if takes_space:
            split[:-1] = [part.removesuffix(" ") for part in split[:-1]]
    encoded = iter(tokenizer.encode([part for split in parts for part in split]))
    texts = [_joined([next(encoded).tokens for _ in split], mask) for split in parts]
    size = sum(len(row.text.encode(errors="replace")) for row in rows)
    return Raw(texts=Ragged.of(texts), seconds=None, words=None, text_bytes=size)


def _takes_space(tokenizer: Tokenizer) -> bool:
    """Whether a token takes the space before its word along, and so does one that is hidden."""
    names = (tokenizer.token_text(token) for token in range(tokenizer.size))
    return any(len(name) > 1 and name[0] == VISIBLE_SPACE for name in names)


def _joined(parts: Sequence[NDArray[np.int32]], mask: int) -> NDArray[np.int32]:
    """The parts with a mask between each and the next."""
    between = np.array([mask], dtype=np.int32)
    return np.concatenate([parts[0], *(piece for part in parts[1:] for piece in (between, part))])
