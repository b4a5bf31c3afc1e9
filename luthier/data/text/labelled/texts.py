"""Settings that every source of texts has."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from luthier.data.faults import OnError
from luthier.data.split import SplitSpec
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec
from luthier.spec import Auto, Spec

LONGEST = 2**20


class TextsSpec(Spec):
    """Texts, read as tokens."""

    tokenizer: TokenizerSpec | Auto = "auto"
    """How a text becomes tokens; auto suits the task and the text, and says why."""
    context: int | Auto = Field(default="auto", union_mode="left_to_right")
    """The most tokens of one input."""
    split: SplitSpec = Field(default_factory=SplitSpec)
    """The splits to make, where the data has none."""
    on_error: OnError = "stop"
    """Whether a row that cannot be used stops everything, or is left out and listed."""
    limit: int | None = Field(default=None, ge=1)
    """The most texts of each given split: for quick tries."""

    @model_validator(mode="after")
    def _some_context(self) -> Self:
        if self.context != "auto" and not 1 <= self.context <= LONGEST:
            raise ValueError(f"context: got {self.context:,}; wanted 1 to {LONGEST:,} tokens")
        return self
