"""What is left to luthier about documents: the tokenizer, and how much is read at once."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from luthier.data.purpose import Purpose
from luthier.data.text.rows.framing import Framing
from luthier.data.text.tokens.learned import character_counts
from luthier.data.text.tokens.subwords import BpeSpec, WordpieceSpec
from luthier.data.text.tokens.symbols import CharactersSpec
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec
from luthier.spec import Auto, Decision, plain

SMALL_BYTES = 2_000_000
FEW_CHARACTERS = 512
LEAST_VOCAB, MOST_VOCAB = 512, 32_768
VOCAB_FACTOR = 4
USUAL_CONTEXT = 256
CONTEXT_STEP = 8
"""Contexts that follow from the documents are a multiple of it, as kernels like them."""


def choose_tokenizer(
    given: TokenizerSpec | Auto, texts: Iterable[str], size_bytes: int, purpose: Purpose
) -> tuple[TokenizerSpec, Decision | None]:
    """The tokenizer that suits training texts, and why.

    Args:
        given: What the recipe says.
        texts: The training texts; read where they are few.
        size_bytes: Of all of them.
        purpose: What the tokens are for.
    """
    if given != "auto":
        return given, None
    vocab = usual_vocab(size_bytes)
    grown = (
        f"{size_bytes:,} bytes of text: {vocab:,} tokens, the power of two below {VOCAB_FACTOR} "
        f"times the square root of that, from {LEAST_VOCAB} to {MOST_VOCAB:,}"
    )
    chosen: TokenizerSpec = BpeSpec(vocab=vocab)
    reason = grown
    if "mask" in purpose.specials:
        chosen = WordpieceSpec(vocab=vocab)
        reason = f"usual where hidden tokens are guessed; {grown}"
    elif size_bytes < SMALL_BYTES and (count := len(character_counts(texts))) < FEW_CHARACTERS:
        chosen = CharactersSpec()
        reason = (
            f"{size_bytes:,} bytes of text with {count} different characters: too little to "
            "learn longer tokens from"
        )
    return chosen, Decision(place="data.tokenizer", value=plain(chosen), reason=reason)


def usual_vocab(size_bytes: int) -> int:
    """A vocabulary that grows with the text, so that most tokens occur often enough to learn.

    Example:
        >>> usual_vocab(1_000_000), usual_vocab(11_000_000), usual_vocab(10**12)
        (2048, 8192, 32768)
    """
    wanted = VOCAB_FACTOR * math.sqrt(max(size_bytes, 1))
    return int(min(max(2 ** math.floor(math.log2(wanted)), LEAST_VOCAB), MOST_VOCAB))


def choose_context(
    given: int | Auto, lengths: NDArray[np.int64], purpose: Purpose, framing: Framing
) -> tuple[int, Decision | None]:
    """How many tokens are read at once, and why.

    Args:
        given: What the recipe says.
        lengths: Tokens of the training documents.
        purpose: What the rows are for: how much they hold beyond their context, and the most of it.
        framing: What stands around segments.
    """
    if given != "auto":
        return given, None
    longest = int(lengths.max()) + framing.tokens_of_a_segment - purpose.ahead
    rounded = max(-(-longest // CONTEXT_STEP) * CONTEXT_STEP, CONTEXT_STEP)
    if rounded < USUAL_CONTEXT:
        context = rounded
        reason = f"the longest text has {longest} tokens to read (a multiple of {CONTEXT_STEP})"
    else:
        context = USUAL_CONTEXT
        reason = f"the longest text has {longest:,} tokens to read; {USUAL_CONTEXT} is usual"
    if purpose.most_tokens is not None and context > purpose.most_tokens:
        context = purpose.most_tokens
        reason = f"the longest text has {longest:,} tokens to read; start reads no more than this"
    return context, Decision(place="data.context", value=context, reason=reason)
