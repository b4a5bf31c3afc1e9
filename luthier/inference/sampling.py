"""Which token comes next: greedy, or drawn from what is likely.

Dimension key, for the whole file:
    B  rows      V  vocab      K  tokens that are looked at
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from luthier.spec import Many, Spec, parse

FIRST_TRIED = 256
"""Of the likeliest tokens: most often enough to reach p, and found much faster than an order."""


class SamplingSpec(Spec):
    """How a text is continued."""

    max_tokens: int = Field(default=200, ge=1, le=10_000_000)
    """The most tokens that are written."""
    greedy: bool = False
    """Whether the likeliest token is always taken; else one is drawn."""
    temperature: float = Field(default=0.8, gt=0, le=100)
    """Scores are divided by it before one is drawn: below 1 the likely become likelier."""
    top_k: int | None = Field(default=None, ge=1)
    """Draws among the k likeliest tokens only."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Draws among the likeliest tokens whose probabilities together reach p (nucleus)."""
    min_p: float | None = Field(default=None, gt=0, le=1)
    """Draws among tokens that are at least p times as likely as the likeliest."""
    repetition_penalty: float = Field(default=1.0, ge=1, le=10)
    """How much less likely the tokens are that the text holds already: positive scores are divided
    by it, negative ones multiplied. 1 for not at all."""
    stop: Many[str] = ()
    """Texts that end what is written; they are not part of it."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Decides what is drawn, for each row of its own: what is beside it changes nothing."""

    @model_validator(mode="after")
    def _used(self) -> Self:
        drawing = {"temperature", "top_k", "top_p", "min_p", "seed"} & self.model_fields_set
        if self.greedy and drawing:
            raise ValueError(
                f"{sorted(drawing)[0]}: belongs to drawing, but greedy draws nothing; leave one out"
            )
        if "" in self.stop:
            raise ValueError("stop: got an empty text; wanted one that can be found")
        return self


def sampling(given: SamplingSpec | Mapping[str, Any] | None) -> SamplingSpec:
    """The settings that somebody gave, or some of them.

    Raises:
        SpecError: If they contradict each other.
    """
    if isinstance(given, SamplingSpec):
        return given
    return parse(SamplingSpec, dict(given or {}), source="generate")


class Sampler:
    """Draws the next tokens of several rows.

    Source:
        top-p: Holtzman et al. 2020, 1904.09751. min-p: Nguyen et al. 2024, 2407.01082.
        Repetition penalty: Keskar et al. 2019, section 4.1, 1909.05858.

    Args:
        spec: How.
        rows: B.
        vocab: V.
        device: Where the scores are.
        first: The number of the first row: each draws by its own.
    """

    def __init__(
        self, spec: SamplingSpec, rows: int, vocab: int, device: torch.device, first: int = 0
    ) -> None:
        self.spec = spec
        # Of each row its own, by the row's number: what is beside it draws nothing from it.
        self._dice = [random.Random(f"{spec.seed} {first + row}") for row in range(rows)]
        penalised = spec.repetition_penalty != 1
        self._seen_BV = (
            torch.zeros(rows, vocab, dtype=torch.bool, device=device) if penalised else None
        )

    def see(self, row: int, tokens: Tensor) -> None:
        """Tells what a row holds already."""
        if self._seen_BV is not None:
            self._seen_BV[row, tokens] = True

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with some of the rows.

        Args:
            rows: Their places.
        """
        self._dice = [self._dice[row] for row in rows]
        if self._seen_BV is not None:
            self._seen_BV = self._seen_BV[list(rows)]

    def choose(self, scores_BV: Tensor) -> Tensor:
        """The next token of each row, `(B,)`."""
        scores_BV = scores_BV if scores_BV.dtype.itemsize >= 4 else scores_BV.float()
        if self._seen_BV is not None:
            penalty = self.spec.repetition_penalty
            lowered_BV = torch.where(scores_BV > 0, scores_BV / penalty, scores_BV * penalty)
            scores_BV = torch.where(self._seen_BV, lowered_BV, scores_BV)
        chosen_B = scores_BV.argmax(-1) if self.spec.greedy else self._drawn(scores_BV)
        if self._seen_BV is not None:
            self._seen_BV.scatter_(1, chosen_B[:, None], True)
        return chosen_B

    def _drawn(self, scores_BV: Tensor) -> Tensor:
        """The token at which the sum of the probabilities exceeds a random share of the whole."""
        p_BK, tokens_BK = likely(scores_BV / self.spec.temperature, self.spec)
        sums_BK = p_BK.cumsum(-1, dtype=torch.float64)
        shares_B1 = sums_BK.new_tensor([[dice.random()] for dice in self._dice])
        places_B1 = torch.searchsorted(sums_BK, shares_B1 * sums_BK[:, -1:], right=True)
        if tokens_BK is not None:
            places_B1 = tokens_BK.gather(1, places_B1)
        return places_B1[:, 0]


def likely(scores_BV: Tensor, spec: SamplingSpec) -> tuple[Tensor, Tensor | None]:
    """The probabilities to draw by, of K tokens, and these; none where they are all, in order.

    First `top_k`, then `min_p`, then `top_p`. What must not be drawn has the probability 0; the
    others do not add up to 1 then. The likeliest token always may be drawn.

    Cost:
        No more than a softmax, unless `top_k` or `top_p` is given; a whole sort only where the
        likeliest `FIRST_TRIED` tokens do not reach p.
    """
    tokens_BK = None
    if spec.top_k is not None:
        scores_BV, tokens_BK = scores_BV.topk(min(spec.top_k, scores_BV.shape[-1]), -1)
    p_BK = scores_BV.softmax(-1)
    if spec.min_p is not None:
        p_BK = p_BK.where(p_BK >= spec.min_p * p_BK.amax(-1, True), 0)
    if spec.top_p is not None:
        wanted_B1 = spec.top_p * p_BK.sum(-1, keepdim=True)
        if tokens_BK is None:
            p_BK, tokens_BK = _likeliest(p_BK, wanted_B1)
        p_BK = p_BK.where(p_BK.cumsum(-1) - p_BK < wanted_B1, 0)
    return p_BK, tokens_BK


def _likeliest(p_BV: Tensor, wanted_B1: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens, the likeliest first, at least as many as reach the wanted sums, or all."""
    if p_BV.shape[-1] > FIRST_TRIED:
        p_BK, tokens_BK = p_BV.topk(FIRST_TRIED, -1)
        if (p_BK.sum(-1, keepdim=True) >= wanted_B1).all():
            return p_BK, tokens_BK
    return p_BV.sort(dim=-1, descending=True)
