"""Answers as a batch: what the network reads of each, and which of their tokens it is asked for.

Dimension key, for the whole file:
    A  answers of the batch      S  tokens that are read, of all answers
    N  tokens that are asked for, of all answers      B  rows
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from luthier.data.chat.answers import AnswerSamples
from luthier.model.blocks.unembed import Unembed
from luthier.model.blueprint import Network
from luthier.model.linear_cross_entropy import nats_of
from luthier.model.linear_nats import nats_with_gradient
from luthier.model.stream import Stream
from luthier.tasks.forward import in_float32, last_of_head
from luthier.tasks.texts import Texts, read


@dataclass(frozen=True, kw_only=True)
class AnswerBatch:
    """Answers, those of the first kind before those of the second."""

    texts: Texts
    """All tokens of each, but the last."""
    places_N: Tensor
    """int64, where a token is asked for that comes next, among the tokens of all texts."""
    targets_N: Tensor
    """int64, these tokens."""
    owners_N: Tensor
    """int64, the answer of each."""
    counts_A: Tensor
    """float32, tokens of each answer that are asked for."""
    good_B: Tensor | None
    """bool; none of pairs."""
    reference_A: Tensor | None
    """float64."""
    moved: Tensor | None
    """A scalar: how far the network has moved on answers that it is not taught; of the whole
    batch of a step, so it is measured before."""
    ids: Tensor
    """`(B,)` row numbers; for people, so they stay on the CPU."""

    @property
    def size(self) -> int:
        """B."""
        return len(self.ids)

    def to(self, device: torch.device) -> AnswerBatch:
        """The same batch on `device`."""
        if self.texts.device == device:
            return self
        return replace(
            self,
            texts=self.texts.to(device),
            places_N=self.places_N.to(device, non_blocking=True),
            targets_N=self.targets_N.to(device, non_blocking=True),
            owners_N=self.owners_N.to(device, non_blocking=True),
            counts_A=self.counts_A.to(device, non_blocking=True),
            good_B=None if self.good_B is None else self.good_B.to(device, non_blocking=True),
            reference_A=_moved(self.reference_A, device),
            moved=_moved(self.moved, device),
        )

    def side(self, number: int) -> AnswerBatch:
        """The answers of the first kind, or of the second, alone."""
        some = slice(number * self.size, (number + 1) * self.size)
        starts = [*self.texts.starts, len(self.texts.tokens_S)]
        first, behind = starts[some.start], starts[some.stop]
        own = (self.owners_N >= some.start) & (self.owners_N < some.stop)
        texts = replace(
            self.texts,
            tokens_S=self.texts.tokens_S[first:behind],
            lengths=self.texts.lengths[some],
        )
        return replace(
            self,
            texts=texts,
            places_N=self.places_N[own] - first,
            targets_N=self.targets_N[own],
            owners_N=self.owners_N[own] - some.start,
            counts_A=self.counts_A[some],
            reference_A=None if self.reference_A is None else self.reference_A[some],
        )


def _moved(tensor: Tensor | None, device: torch.device) -> Tensor | None:
    if tensor is None:
        return None
    if device.type == "mps":  # which has no float64
        tensor = tensor.float()
    return tensor.to(device, non_blocking=True)


def batch_of_answers(samples: AnswerSamples) -> AnswerBatch:
    """What the network reads of each answer, and what it is asked for."""
    rows = samples.answers
    lengths = tuple(len(row.tokens) - 1 for row in rows)
    asked = [np.flatnonzero(row.learned[1:]) for row in rows]
    starts = np.cumsum([0, *lengths])[:-1]
    places = np.concatenate([own + start for own, start in zip(asked, starts, strict=True)])
    targets = np.concatenate([row.tokens[1:][own] for row, own in zip(rows, asked, strict=True)])
    counts = np.array([len(own) for own in asked])
    read_S = np.concatenate([row.tokens[:-1] for row in rows]).astype(np.int64)
    return AnswerBatch(
        texts=Texts(torch.from_numpy(read_S), None, lengths),
        places_N=torch.from_numpy(places.astype(np.int64)),
        targets_N=torch.from_numpy(targets.astype(np.int64)),
        owners_N=torch.from_numpy(np.repeat(np.arange(len(rows)), counts)),
        counts_A=torch.from_numpy(counts.astype(np.float32)),
        good_B=samples.good_B,
        reference_A=samples.reference_A,
        moved=None,
        ids=samples.ids,
    )


def log_probabilities(network: nn.Module, batch: AnswerBatch) -> tuple[Tensor, Stream]:
    """The logarithm of the probability of each answer, `(A,)`: the sum over its tokens; and the
    stream of the pass."""
    last = last_of_head(network)
    if isinstance(last, Unembed):
        assert isinstance(network, Network)
        x_SD, stream = read(network, batch.texts, whole=False)
        x_ND = x_SD.index_select(0, batch.places_N)
        nats_N = nats_with_gradient(
            x_ND, last.weight, last.added, batch.targets_N, last.spec.softcap
        )
    else:
        y_SV, stream = read(network, batch.texts)
        y_NV = in_float32(y_SV.index_select(0, batch.places_N))
        nats_N, _ = nats_of(y_NV, batch.targets_N)
    sums_A = nats_N.new_zeros(len(batch.texts)).index_add(0, batch.owners_N, -nats_N)
    return sums_A, stream
