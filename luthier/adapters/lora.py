"""Low-rank adapters: what is added to a weight is a product of two thin matrices.

Dimension key, for the whole file:
    R  rows of a weight: what it gives      C  columns: what it reads, times the kernel
    r  rank
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from luthier.model.block import Share
from luthier.model.initialize import generator_for
from luthier.spec import Auto, Many, Spec

Rank = Annotated[int, Field(ge=1, le=8192)]
NAME = r"[A-Za-z0-9_-]{1,64}"
DEFAULT = "default"
"""The name of an adapter that was given none; PEFT's too."""


class LoraSpec(Spec):
    """The weights stay; beside those of the chosen layers, two thin matrices learn.

    A layer computes `x W^T + alpha / rank * (x A^T) B^T`. B begins at zero, so that the network
    begins as it was. Afterwards the product is added to W, and costs nothing more.
    """

    kind: Literal["lora", "rslora", "dora", "qlora"] = "lora"
    """rslora divides by the root of the rank and not by the rank, so that a high rank does not
    learn more slowly; dora also learns the length of each row of the weights, and lets the product
    change its direction only; qlora is lora with `bits: 4`."""
    rank: Rank = 16
    """Rows of A and columns of B."""
    alpha: float = Field(default=32.0, gt=0, le=1e6)
    """What the product is multiplied by, before it is divided by the rank. Left as it is where the
    rank changes, the same learning rate suits."""
    dropout: Share = 0.0
    """The share of what A reads that is left out while training."""
    bits: Literal[4] | None = None
    """4 keeps the weights of each dense layer that was trained before, but for the head, in four
    bits while the adapter learns: an eighth of the memory, at some loss. None keeps them whole."""
    targets: Auto | Many[str] = "auto"
    """The layers, by name or pattern: `[query, value]`, `copies.0.*`. auto takes each dense layer,
    convolution and recurrent layer of what was trained before, if two thin matrices are smaller
    than it."""
    also: Many[str] = ()
    """Layers that move whole beside them, such as `[norm_before]`. What is new in the network
    always does."""
    keep: Literal["model", "adapter"] = "model"
    """What the finished model holds: all weights, those of the adapter added in; or the adapter
    alone, which takes little room, and needs `start` to stay as it is. In a folder of its own, as
    PEFT reads it, the adapter is kept in any case."""
    name: Annotated[str, Field(pattern=f"^{NAME}$")] = DEFAULT
    """What the adapter is called: a network can have several, one of which is active."""

    @field_validator("targets", "also")
    @classmethod
    def _some(cls, patterns: Auto | tuple[str, ...]) -> Auto | tuple[str, ...]:
        if any(not pattern for pattern in patterns):
            raise ValueError("got an empty name; wanted names of layers, such as [query, value]")
        return patterns

    @property
    def quantises(self) -> bool:
        """Whether the weights that stay are kept in four bits."""
        return self.bits == 4 or self.kind == "qlora"

    @property
    def product(self) -> Product:
        """What each layer gets."""
        divisor = math.sqrt(self.rank) if self.kind == "rslora" else self.rank
        return Product(
            rank=self.rank,
            scale=self.alpha / divisor,
            dropout=self.dropout,
            magnitude=self.kind == "dora",
        )


@dataclass(frozen=True, kw_only=True)
class Product:
    """Two thin matrices beside a weight."""

    rank: int
    scale: float
    """What their product is multiplied by."""
    dropout: float = 0.0
    magnitude: bool = False
    """Whether lengths are learned beside them."""


class LowRank(nn.Module):
    """What one adapter adds to one weight: `scale * up @ down`, in the weight's shape.

    With a magnitude (DoRA) the sum of both is scaled to rows of that length; that of a table of
    vectors to columns, since there a feature is one.

    Args:
        weight: `(R, …)`, with C elements a row.
        product: The rank, the scale, and whether there is a magnitude.
        table: Whether it is a table of which rows are looked up. What it begins with is drawn in
            another way, as PEFT does.

    Cost:
        Parameters: `r * (R + C)`, and with a magnitude `R`, of a table `C`.

    Source:
        Hu et al. 2021, section 4.1, 2106.09685; the drawing of A as in the authors' code and PEFT.
        rsLoRA: Kalajdzievski 2023, 2312.03732. DoRA: Liu et al. 2024, section 4, 2402.09353, with
        the lengths taken as constant in the backward pass, as in section 4.3. Dropout reaches
        what A reads alone; with DoRA, PEFT has it reach what the weight reads too.
    """

    def __init__(self, weight: Tensor, product: Product, *, table: bool = False) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight.shape[1:].numel()
        dtype, device = weight.dtype, weight.device
        self.shape = tuple(weight.shape)
        self.scale = product.scale
        self.dropout = product.dropout
        self.table = table
        self.down = nn.Parameter(torch.empty((product.rank, columns), dtype=dtype, device=device))
        self.up = nn.Parameter(torch.zeros((rows, product.rank), dtype=dtype, device=device))
        own = lengths(weight.detach(), table=table) if product.magnitude else None
        self.magnitude = None if own is None else nn.Parameter(own)

    @torch.no_grad()
    def draw(self, seed: int, name: str) -> None:
        """Draws A, by a generator of its own."""
        if self.down.is_meta:
            return
        drawn = torch.empty(tuple(self.down.shape))
        generator = generator_for(seed, name)
        if self.table:
            drawn.normal_(generator=generator)
        else:
            nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
        self.down.copy_(drawn)

    def delta(self) -> Tensor:
        """`scale * up @ down`, in the shape of the weight; not rounded by autocast."""
        kind = self.up.device.type
        with nullcontext() if self.up.is_meta else torch.autocast(kind, enabled=False):
            return (self.up @ self.down).mul(self.scale).view(self.shape)

    def factor(self, weight: Tensor) -> Tensor | None:
        """What the sum is multiplied by, in a shape that does; none without a magnitude."""
        if self.magnitude is None:
            return None
        with torch.no_grad():
            length = lengths(weight + self.delta(), table=self.table)
        share: Tensor = self.magnitude / length
        return share if self.table else share.view(-1, *[1] * (len(self.shape) - 1))

    def applied(self, weight: Tensor) -> Tensor:
        """The weight with what the adapter adds to it."""
        moved, factor = weight + self.delta(), self.factor(weight)
        return moved if factor is None else moved * factor


def lengths(weight: Tensor, *, table: bool) -> Tensor:
    """The Euclidean length of each row, `(R,)`; of a table that of each column, `(C,)`."""
    found: Tensor = torch.linalg.vector_norm(weight.flatten(1), dim=0 if table else 1)
    return found
