"""Rows of documents as a batch: what goes in, and which token is wanted where.

Dimension key, for the whole file:
    B  rows      S  tokens of a row      T  positions of a row      N  positions with a target
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from luthier.data.text.rows.samples import PADDING, RowSamples
from luthier.model.layout import Layout


@dataclass(frozen=True, kw_only=True)
class RowBatch:
    """Rows of tokens, and the token that is wanted at some of their positions."""

    tokens_BT: Tensor
    """int64: what the network reads."""
    layout: Layout | None
    """Where documents lie; none where each row is one, whole."""
    scored_N: Tensor | None
    """int64, the positions with a target, in the rows laid end to end; none where all have one."""
    targets_N: Tensor
    """int64: the token wanted at each."""
    count: Tensor
    """N, a scalar."""
    rows_N: Tensor
    """int64, the row of each target; for people, so it stays on the CPU."""
    bytes_N: Tensor
    """int64, what the targets stand for in UTF-8; the same."""
    ids: Tensor
    """`(B,)` row numbers; the same."""

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.tokens_BT)

    def to(self, device: torch.device) -> RowBatch:
        """The same batch on `device`."""
        if self.tokens_BT.device == device:
            return self
        scored, layout = self.scored_N, self.layout
        return replace(
            self,
            tokens_BT=self.tokens_BT.to(device, non_blocking=True),
            layout=None if layout is None else layout.to(device),
            scored_N=None if scored is None else scored.to(device, non_blocking=True),
            targets_N=self.targets_N.to(device, non_blocking=True),
            count=self.count.to(device, non_blocking=True),
        )

    def chosen(self, x_BTD: Tensor) -> Tensor:
        """What the network gives where there is a target: `(N, D)`."""
        flat = x_BTD.flatten(0, 1)
        return flat if self.scored_N is None else flat.index_select(0, self.scored_N)


def batch_of(
    samples: RowSamples,
    read_BT: Tensor,
    documents_BT: Tensor | None,
    wanted_BT: Tensor,
    is_target_BT: Tensor,
) -> RowBatch:
    """A batch of what is read, and of what is wanted where.

    Args:
        samples: Where it comes from.
        read_BT: The tokens that the network reads.
        documents_BT: The document of each, as `RowSamples` has them.
        wanted_BT: A token for each position.
        is_target_BT: Whether it is to be predicted.
    """
    wanted_N = is_target_BT.flatten().nonzero()[:, 0]
    rows, time = read_BT.shape
    everywhere = len(wanted_N) == rows * time
    # The bytes of a target: of the last T tokens, one ahead where the next is wanted.
    bytes_BT = samples.bytes_BS[:, samples.bytes_BS.shape[1] - time :]
    return RowBatch(
        tokens_BT=read_BT.contiguous(),
        layout=layout_of(documents_BT),
        scored_N=None if everywhere else wanted_N,
        targets_N=wanted_BT.flatten()[wanted_N],
        count=torch.tensor(float(len(wanted_N))),
        rows_N=wanted_N // time,
        bytes_N=bytes_BT.flatten()[wanted_N],
        ids=samples.ids,
    )


def next_tokens(samples: RowSamples) -> RowBatch:
    """Every token but the last is read, and the next one of its document wanted.

    Of a conversation, only what is learned of it is wanted; all of it is read.
    """
    tokens, documents = samples.tokens_BS, samples.documents_BS
    if documents is None:
        is_target = torch.ones_like(tokens[:, 1:], dtype=torch.bool)
    else:
        same = documents[:, 1:] == documents[:, :-1]
        is_target = same & (documents[:, 1:] != PADDING)
    if samples.learned_BS is not None:
        is_target &= samples.learned_BS[:, 1:]
    read_from = None if documents is None else documents[:, :-1]
    return batch_of(samples, tokens[:, :-1], read_from, tokens[:, 1:], is_target)


def layout_of(documents_BT: Tensor | None) -> Layout | None:
    """The layout of rows by the document of each position.

    Returns:
        None where each row is of one document, with no padding.
    """
    if documents_BT is None or not bool(documents_BT.any()):
        return None  # document 0 everywhere
    numbers = documents_BT.numpy()
    lengths = [_runs(row[row != PADDING]) for row in numbers]
    return Layout.rows_of(lengths, documents_BT.shape[1])


def _runs(documents: np.ndarray) -> list[int]:
    """The positions of each document of a row."""
    starts = np.flatnonzero(np.diff(documents, prepend=PADDING))
    lengths: list[int] = np.diff(starts, append=len(documents)).tolist()
    return lengths
