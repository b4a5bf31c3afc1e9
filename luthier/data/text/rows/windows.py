"""Windows of long documents, which lie elsewhere in each epoch.

Dimension key, for the whole file:
    N  documents      W  windows
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from luthier.data.randomness import uniforms
from luthier.data.text.rows.bin_packing import Numbers
from luthier.data.text.rows.packing import Cut

SHIFTED_WINDOWS = 16
"""From so many windows on, those of a document are shifted; of a shorter one the ends, which
shifted windows miss, would be too large a share."""


@dataclass(frozen=True)
class Windows:
    """As many windows of each document as fit, wherever its first one starts.

    One place less than a window is left over for the shift, at least: so no token is always
    left out, and the number of windows is the same in each epoch.
    """

    starts: Numbers
    """`(N,)`, where each document starts."""
    rooms: Numbers
    """`(N,)`, places for its first window."""
    lasts: Numbers
    """`(N,)`, windows of it and of those before it."""
    step: int

    def __len__(self) -> int:
        return int(self.lasts[-1]) if len(self.lasts) else 0

    @classmethod
    def of(cls, starts: Numbers, lengths: Numbers, cut: Cut) -> Self:
        """Of documents that start there and have so many tokens: `(N,)` both."""
        targets = lengths - cut.ahead
        counts = (targets - (cut.step - 1)) // cut.step
        return cls(starts, targets - counts * cut.step + 1, np.cumsum(counts), cut.step)

    def places(self, windows: Numbers, seed: int, epoch: int) -> Numbers:
        """`(W,)`, where these windows start in an epoch."""
        document = np.searchsorted(self.lasts, windows, side="right")
        before = np.where(document > 0, self.lasts[document - 1], 0)
        shares = uniforms(seed, epoch, document, "windows", 1)[:, 0]
        shifts = (shares * self.rooms[document]).astype(np.int64)
        return self.starts[document] + shifts + (windows - before) * self.step
