"""The tokens that a text begins with and ends at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from luthier.data.target import Documents
from luthier.data.text.tokens.tokenizer import Tokenizer


@dataclass(frozen=True)
class Bounds:
    """Where a text that is written begins and ends.

    Attributes:
        begins: The token before each text; none where texts begin with their own first token.
        alone: The token that an empty text is written from; none where there is none.
        ends: Each of these ends a text.
    """

    begins: int | None
    alone: int | None
    ends: frozenset[int]

    @classmethod
    def of(cls, tokenizer: Tokenizer, target: Documents | None = None) -> Self:
        """Those of a network.

        Args:
            tokenizer: Of the network.
            target: What it learned; none means that documents stand between end tokens.
        """
        end = tokenizer.special("end")
        ends = {end} if target is None else {end, target.specials.get("end"), *target.ends}
        begins = end if target is None else target.begins
        alone = end if begins is None else begins
        return cls(begins, alone, frozenset(token for token in ends if token is not None))
