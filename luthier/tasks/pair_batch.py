"""Pairs as a batch: what the encoder reads, what the decoder reads, what it is to write.

Dimension key, for the whole file:
    B  rows      S  positions of the sources      T  positions of what is written
    N  tokens that are to be written      D  width
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from luthier.data.pairs.found import PairRow
from luthier.data.pairs.pair_examples import PairSamples
from luthier.data.target import Written
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.model.blueprint import Network
from luthier.model.layout import Layout
from luthier.model.stream import Source, Stream
from luthier.tasks.texts import Texts


@dataclass(frozen=True, kw_only=True)
class PairBatch:
    """Sources, and what is to be written of them."""

    sources: Texts
    """What the encoder reads."""
    read: Texts | None
    """What the decoder reads: the opening, and all tokens but the last; none where what is to be
    written is not known."""
    targets_N: Tensor | None
    """int64, what comes next at each of its positions."""
    rows: Sequence[PairRow] | None
    """As they were read; for people."""
    tokenizer: Tokenizer
    """Of what is written."""
    ids: Tensor
    """`(B,)` row numbers; for people, so they stay on the CPU."""

    @classmethod
    def of(cls, samples: PairSamples, target: Written) -> PairBatch:
        """Samples as a batch.

        Args:
            samples: Sources, and perhaps what is to be written of them.
            target: What each text begins with; what is forced is learned too.
        """
        read = targets = None
        if samples.targets is not None:
            opening = np.array([target.opening], dtype=np.int32)
            forced = np.array(target.forced, dtype=np.int32)
            texts = [np.concatenate([forced, text]) for text in samples.targets]
            read = _texts([np.concatenate([opening, text[:-1]]) for text in texts])
            targets = torch.from_numpy(np.concatenate(texts).astype(np.int64))
        return cls(
            sources=_texts(samples.sources),
            read=read,
            targets_N=targets,
            rows=samples.rows,
            tokenizer=samples.tokenizer,
            ids=samples.ids,
        )

    @property
    def size(self) -> int:
        """B."""
        return len(self.ids)

    def to(self, device: torch.device) -> PairBatch:
        """The same batch on `device`."""
        if self.sources.device == device:
            return self
        targets = self.targets_N
        return replace(
            self,
            sources=self.sources.to(device),
            read=None if self.read is None else self.read.to(device),
            targets_N=None if targets is None else targets.to(device, non_blocking=True),
        )


def encoded(network: Network, batch: PairBatch) -> tuple[Source, Stream]:
    """What the encoder gives of the sources, and the stream of its pass."""
    x_BS, layout = in_rows(batch.sources)
    stream = Stream(layout=layout)
    return Source(network.encode(x_BS, stream), layout), stream


def decoding(read: Texts, source: Source, stream: Stream) -> tuple[Tensor, Stream]:
    """What the decoder reads: its tokens, and the stream of its pass.

    Args:
        read: Its tokens.
        source: What the encoder gave.
        stream: Of the encoder's pass, whose losses are a part of the whole.
    """
    x_BT, layout = in_rows(read)
    own = Stream(
        layout=layout,
        source_BSD=source.x_BSD,
        source_layout=source.layout,
        losses=dict(stream.losses),
    )
    return x_BT, own


def in_rows(texts: Texts) -> tuple[Tensor, Layout | None]:
    """Texts as rows: one a row where all are of one length, else all in a single row.

    Nothing is padded, so there is no work on what is none.
    """
    if len(set(texts.lengths)) == 1:
        return texts.tokens_S.view(len(texts), -1), None
    return texts.tokens_S[None], Layout.packed(texts.lengths).to(texts.device)


def _texts(parts: Sequence[np.ndarray]) -> Texts:
    tokens = torch.from_numpy(np.concatenate(parts).astype(np.int64))
    return Texts(tokens, None, tuple(len(part) for part in parts))
