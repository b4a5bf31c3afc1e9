"""What a block is: a spec that builds a module for what reaches it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import Field
from torch import nn

from luthier.errors import ShapeError
from luthier.signal import Signal
from luthier.spec import Many, Spec

LARGEST = 2**20

Size = Annotated[int, Field(ge=1, le=LARGEST)]
"""A width, a number of channels, a kernel, a stride: at least 1, and not absurd."""
Sizes = Size | Many[Size]
"""One size for every dimension that a window slides over, or one for each."""
Share = Annotated[float, Field(ge=0, lt=1)]
"""A probability to leave something out."""


class BlockSpec(Spec):
    """What every block's spec is: an entry of `model.layers`."""

    kind: str

    @abstractmethod
    def build(self, signal: Signal) -> nn.Module:
        """A module that reads `signal`. Its weights are not yet initialised.

        Call it under `torch.device("meta")` to allocate nothing.

        Raises:
            ShapeError: If it cannot read `signal`; the caller knows the place.
        """

    def blocks(self) -> int:
        """How many blocks it stands for, itself and the inner ones."""
        return 1

    def unreadable(self, wanted: str, signal: Signal, mend: str = "leave it out") -> ShapeError:
        """The error for a signal of the wrong form.

        Args:
            wanted: What the block reads: `a vector`.
            signal: What it gets.
            mend: What to do: `add {kind: flatten} before it`. For tokens it is the same always.
        """
        if signal.form == "tokens":
            mend = "turn the tokens into vectors first"
        return ShapeError(f"{self.kind} reads {wanted}, but gets {signal}; {mend}")
