"""Which token comes next: greedy, or drawn from what is likely.

Dimension key, for the whole file:
    B  rows      V  vocab
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from luthier.spec import Many, Spec, parse


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
                f"{sorted(drawing)[0]} belongs to drawing, but greedy draws nothing; leave one out"
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
    """

    def __init__(self, spec: SamplingSpec, rows: int, vocab: int, device: torch.device) -> None:
        self.spec = spec
        self._generators = [
            torch.Generator().manual_seed(spec.seed * 1_000_003 + row & (1 << 63) - 1)
            for row in range(rows)
        ]
        penalised = spec.repetition_penalty != 1
        self._seen_BV = (
            torch.zeros(rows, vocab, dtype=torch.bool, device=device) if penalised else None
        )

    def see(self, row: int, tokens: Tensor) -> None:
        """Tells what a row holds already."""
        if self._seen_BV is not None:
            self._seen_BV[row, tokens] = True

    def choose(self, scores_BV: Tensor) -> Tensor:
        """The next token of each row, `(B,)`."""
        scores_BV = scores_BV if scores_BV.dtype.itemsize >= 4 else scores_BV.float()
        if self._seen_BV is not None:
            penalty = self.spec.repetition_penalty
            lowered = torch.where(scores_BV > 0, scores_BV / penalty, scores_BV * penalty)
            scores_BV = torch.where(self._seen_BV, lowered, scores_BV)
        chosen_B = scores_BV.argmax(-1) if self.spec.greedy else self._drawn(scores_BV)
        if self._seen_BV is not None:
            self._seen_BV.scatter_(1, chosen_B[:, None], True)
        return chosen_B

    def _drawn(self, scores_BV: Tensor) -> Tensor:
        kept_BV = kept(scores_BV / self.spec.temperature, self.spec)
        p_BV = kept_BV.double().softmax(-1)
        drawn = [torch.rand((), dtype=torch.float64, generator=g) for g in self._generators]
        drawn_B1 = torch.stack(drawn).to(p_BV.device)[:, None]
        sums_BV = p_BV.cumsum(-1)
        # Rounding can leave the last sum a hair below 1.
        places_B1 = torch.searchsorted(sums_BV, drawn_B1 * sums_BV[:, -1:], right=True)
        return places_B1[:, 0].clamp(max=p_BV.shape[-1] - 1)


def kept(scores_BV: Tensor, spec: SamplingSpec) -> Tensor:
    """The scores of the tokens that may be drawn, minus infinity for the others.

    The likeliest token always may.
    """
    if spec.top_k is not None and spec.top_k < scores_BV.shape[-1]:
        least_B1 = scores_BV.topk(spec.top_k, -1).values[:, -1:]
        scores_BV = scores_BV.masked_fill(scores_BV < least_B1, -torch.inf)
    if spec.min_p is not None:
        p_BV = scores_BV.softmax(-1)
        scores_BV = scores_BV.masked_fill(p_BV < spec.min_p * p_BV.amax(-1, True), -torch.inf)
    if spec.top_p is not None:
        p_BV, order_BV = scores_BV.softmax(-1).sort(-1, descending=True)
        before_BV = p_BV.cumsum(-1) - p_BV
        out_BV = torch.zeros_like(before_BV, dtype=torch.bool)
        out_BV.scatter_(1, order_BV, before_BV >= spec.top_p)
        scores_BV = scores_BV.masked_fill(out_BV, -torch.inf)
    return scores_BV
