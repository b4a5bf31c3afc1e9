"""The keys and values of the positions that an attention has read.

Dimension key, for the whole file:
    B  rows      K  key/value heads      C  capacity      E  width of a head
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from luthier.model.one_query import remembered_type


@dataclass(frozen=True)
class KeyValues:
    """What an attention remembers: memory for all positions to come, filled from the left.

    Shape:
        Both `(B, K, C, E)`.

    Cost:
        `2 * K * E` elements a position; on a CPU in float32 at least, see `one_query`.
    """

    keys_BKCE: Tensor
    values_BKCE: Tensor

    @classmethod
    def for_rows_like(cls, k_BKTE: Tensor, capacity: int) -> KeyValues:
        """Memory for `capacity` positions of the rows of `k_BKTE`, with nothing in it."""
        rows, heads, _, width = k_BKTE.shape
        shape, dtype = (rows, heads, capacity, width), remembered_type(k_BKTE)
        return cls(k_BKTE.new_zeros(shape, dtype=dtype), k_BKTE.new_zeros(shape, dtype=dtype))

    def read_on(self, k_BKTE: Tensor, v_BKTE: Tensor, time: int) -> tuple[Tensor, Tensor]:
        """Writes more positions, in place, and gives all.

        Args:
            k_BKTE: Their keys.
            v_BKTE: Their values.
            time: Positions that were written before.

        Returns:
            Keys and values of the `time + T` positions: views, no copies.
        """
        new, capacity = k_BKTE.shape[2], self.keys_BKCE.shape[2]
        stop = time + new
        assert stop <= capacity, f"{stop} positions do not fit into a state for {capacity}"
        self.keys_BKCE.narrow(2, time, new).copy_(k_BKTE)
        self.values_BKCE.narrow(2, time, new).copy_(v_BKTE)
        if time == 0:  # as they are, since many positions are read faster in bfloat16
            return k_BKTE, v_BKTE
        return self.keys_BKCE.narrow(2, 0, stop), self.values_BKCE.narrow(2, 0, stop)
