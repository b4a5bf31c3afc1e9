"""Rows of a table that learn, while the others stay: the vectors of new tokens.

Dimension key, for the whole file:
    V  rows      N  new ones      D  columns
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Span:
    """Rows one behind the other.

    Attributes:
        first: The number of the first one.
        count: How many.
    """

    first: int
    count: int

    @property
    def stop(self) -> int:
        """The number behind the last one."""
        return self.first + self.count


class NewRows(nn.Module):
    """Some rows of a weight `(V, D)`, as weights of their own.

    Args:
        weight: They begin as its rows.
        span: Which.
    """

    def __init__(self, weight: Tensor, span: Span) -> None:
        super().__init__()
        assert span.stop <= len(weight), "rows behind the last one"
        self.span = span
        self.values = nn.Parameter(weight.detach()[span.first : span.stop].clone())

    def applied(self, weight: Tensor) -> Tensor:
        """The weight with these rows in the place of its own."""
        return torch.cat([weight[: self.span.first], self.values, weight[self.span.stop :]])

    def looked_up(self, tokens: Tensor, others: Tensor) -> Tensor:
        """The vectors of tokens: of the new ones these, else those that were looked up already.

        Args:
            tokens: `(…)` numbers.
            others: `(…, D)`.
        """
        own = tokens - self.span.first
        is_new = (own >= 0) & (own < self.span.count)
        vectors = nn.functional.embedding(own.clamp(0, self.span.count - 1), self.values)
        return torch.where(is_new[..., None], vectors.to(others.dtype), others)

    def scored(self, x: Tensor, bias: Tensor | None, others: Tensor) -> Tensor:
        """`x W^T + b` where W has these rows.

        Args:
            x: `(…, D)`.
            bias: `(V,)`.
            others: `(…, V)`, by the weight without them.
        """
        first, stop = self.span.first, self.span.stop
        own = nn.functional.linear(x, self.values, None if bias is None else bias[first:stop])
        return torch.cat([others[..., :first], own, others[..., stop:]], -1)


@torch.no_grad()
def grow(own: Mapping[str, Tensor], given: Mapping[str, Tensor], span: Span) -> dict[str, Tensor]:
    """Weights of a network with more tokens, from those of one with fewer.

    What has a row for each token, table or head, keeps its rows. New ones begin as the mean of
    those: so the scores of other tokens hardly change, and a new one is as likely as most.

    Args:
        own: Of the network with more tokens.
        given: Of the other.
        span: The new tokens; they may be numbers that the other had a row for already.

    Returns:
        Those of `given` that had to change, by name.

    Source:
        Hewitt 2021, "Initializing New Word Embeddings for Pretrained Language Models".
    """
    changed = {}
    for name, weight in given.items():
        ours = own.get(name)
        if ours is None or not _has_tokens(name) or ours.shape[1:] != weight.shape[1:]:
            continue
        whole = weight.mean(0, keepdim=True).expand(len(ours), *weight.shape[1:]).clone()
        kept = min(len(weight), span.first)
        whole[:kept] = weight[:kept]
        if span.stop < len(weight):
            whole[span.stop : len(weight)] = weight[span.stop :]
        changed[name] = whole
    return changed


def _has_tokens(name: str) -> bool:
    return name.endswith("table.weight") or name.startswith("head.")
