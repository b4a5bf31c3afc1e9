"""What flows from one block to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["image", "sequence", "vector", "tokens"]

_RANK: dict[int, Form] = {1: "vector", 2: "sequence", 3: "image"}


@dataclass(frozen=True)
class Signal:
    """The form and shape of one sample, without the batch.

    image `(channels, height, width)` · sequence `(time, width)` · vector `(width,)` ·
    tokens `(time,)`, whole numbers below `vocab`. Known before a network is built, and measured
    after each block. The time of tokens is the longest input; shorter ones come too.
    """

    form: Form
    shape: tuple[int, ...]
    vocab: int = 0
    """Distinct tokens; 0 of other forms."""

    @classmethod
    def tokens(cls, context: int, vocab: int) -> Signal:
        """Up to `context` tokens of `vocab` kinds."""
        return cls("tokens", (context,), vocab)

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Signal:
        """The signal of a floating-point tensor of `shape`, the batch left out.

        Raises:
            ValueError: If no form has so many dimensions.
        """
        if len(shape) not in _RANK:
            raise ValueError(f"no signal has the shape {shape}: wanted 1 to 3 dimensions")
        return cls(_RANK[len(shape)], shape)

    @property
    def width(self) -> int:
        """The size of the feature dimension: channels of an image, width of the others."""
        assert self.form != "tokens", "tokens have no width"
        return self.shape[0] if self.form == "image" else self.shape[-1]

    def __str__(self) -> str:
        article = "an" if self.form == "image" else "a"
        if self.form == "tokens":
            return f"tokens ({self.shape[0]})"
        return (
            f"{article} {self.form} {self.shape}"
            if len(self.shape) > 1
            else (f"{article} {self.form} ({self.shape[0]})")
        )
