"""The tokens around a document, by which a network knows where it begins and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from luthier.data.purpose import Purpose
from luthier.data.text.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Framing:
    """What stands before and behind the tokens of a document.

    Where what comes next is predicted, a document stands between two end tokens: the first of
    its own tokens is then predicted too, from a token that says no more than that it begins; and
    a text that is written from nothing begins in the same way. Where the file of the tokenizer
    puts a token of its own before each text, as that of Llama, it is the one that stands there.
    Where masked tokens are
    predicted, each segment of a document stands between a first token and a separator, as the
    texts do that such a network is tuned on later.
    """

    opening: int | None
    closing: int | None
    each_segment: bool
    """Whether segments of a document are framed one by one."""

    @classmethod
    def of(cls, purpose: Purpose, tokenizer: Tokenizer) -> Self:
        """What the purpose wants, of the special tokens that the tokenizer has."""
        if purpose.ahead:
            end = tokenizer.special("end") if "end" in purpose.specials else None
            opening = end if tokenizer.opening is None else tokenizer.opening
            return cls(opening, end, each_segment=False)
        opening = tokenizer.special("first") if "first" in purpose.specials else None
        closing = next(
            (tokenizer.special(name) for name in ("separator", "end") if name in purpose.specials),
            None,
        )
        return cls(opening, closing, each_segment=True)

    @property
    def segment_opening(self) -> int | None:
        """What stands before each segment."""
        return self.opening if self.each_segment else None

    @property
    def segment_closing(self) -> int | None:
        """What stands behind each segment."""
        return self.closing if self.each_segment else None

    @property
    def tokens_of_a_segment(self) -> int:
        """How many tokens a segment takes beside its own."""
        return (self.segment_opening is not None) + (self.segment_closing is not None)

    @property
    def is_of_texts(self) -> bool:
        """Whether a single text, too, stands between a first token and a separator."""
        return self.tokens_of_a_segment == 2
