"""What training keeps where the copies of a repeat are computed again for the backward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

from luthier.model.blueprint import Network
from luthier.placement.recompute import repeated
from luthier.planner.count import Counts

FLOAT_BYTES = 4
PASSES = 2
"""Of a training step, as long as the forward pass: that, and one for the gradients of what layers
read. Those of the weights that move are a third."""


@dataclass(frozen=True, kw_only=True)
class Recomputed:
    """Of the batch that was counted, in float32."""

    kept_bytes: int
    """What is kept from the forward pass to the backward pass."""
    most_bytes: int
    """With what the largest copy makes again, while its gradient is computed."""
    flops: int
    """That a step computes more."""
    share: float
    """Of a step's FLOPs, what these are."""

    def to_json(self) -> dict[str, float]:
        """As `luthier design --json` prints it."""
        return vars(self)


def recomputed(network: Network, counts: Counts) -> Recomputed | None:
    """What `placement.recompute: blocks` makes of a network; none where nothing repeats.

    Args:
        network: The network.
        counts: Of the same network.
    """
    names = {id(module): name for name, module in network.named_modules()}
    copies = list(repeated(network))
    if not copies:
        return None
    inputs = sum(FLOAT_BYTES * counts.batch * math.prod(copy.reads.shape) for copy in copies)
    saved, flops = [], 0
    for copy in copies:
        inside = f"{names[id(copy)]}."
        own = [row for row in counts.rows if row.module.removeprefix(inside).isdigit()]
        saved.append(sum(row.activation_bytes for row in own))
        flops += sum(row.flops for row in own)
    passes = PASSES + counts.total.trained / max(1, counts.total.parameters)
    kept = counts.total.activation_bytes - sum(saved) + inputs
    return Recomputed(
        kept_bytes=kept,
        most_bytes=kept + max(saved),
        flops=flops,
        share=flops / max(1.0, passes * counts.total.flops),
    )
