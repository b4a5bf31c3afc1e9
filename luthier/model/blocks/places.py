"""Places: sines that tell where in a sequence a vector stands.

Dimension key, for the whole file:
    B  rows      T  positions      D  width
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from luthier.model.block import BlockSpec
from luthier.model.blocks.tokens import sinusoids
from luthier.model.stream import Stream, Streamed, positions
from luthier.signal import Signal


class PlacesSpec(BlockSpec):
    """Sines and cosines of its place added to each vector, for what reads no tokens: the frames of
    a sound. For tokens, see their `position`."""

    kind: Literal["places"] = "places"

    def build(self, signal: Signal) -> Places:
        """A `Places` for `signal`."""
        if signal.form != "sequence":
            raise self.unreadable("a sequence", signal, "leave out what pools or flattens it")
        return Places()


class Places(Streamed):
    """`x + sines(place)`; it has no weights.

    Shape:
        `(B, T, D)` to the same.

    Source:
        Vaswani et al. 2017, section 3.5, 1706.03762, with the sines before the cosines, as in
        Radford et al. 2022, 2212.04356.
    """

    def forward(self, x_BTD: Tensor, stream: Stream | None = None) -> Tensor:
        """The vectors with their places."""
        places = positions(stream, x_BTD.shape[1], x_BTD.device)
        return x_BTD + sinusoids(places, x_BTD.shape[2]).to(x_BTD.dtype)
