"""Texts of different lengths, as a network reads them.

Dimension key, for the whole file:
    N  texts      S  tokens of all texts      L  tokens of the longest      K  what is given
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from luthier.data.text.rows.samples import Text, TextSamples
from luthier.model.blueprint import Network
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.tasks.forward import before_last, forward, knows_documents


@dataclass(frozen=True)
class Texts:
    """The tokens of several texts, one text after the other.

    How they lie in rows is decided where the network is known. One that is made of blocks reads
    them as a single row without padding, which is no work: each block keeps documents apart.
    Somebody's own module gets one text a row, padded at the right.
    """

    tokens_S: Tensor
    """int64."""
    types_S: Tensor | None
    """int64, which part of a pair each token belongs to; none where there are no pairs."""
    lengths: tuple[int, ...]
    """`(N,)` tokens of each, at least one."""
    pad: int = 0
    """The token of padding."""

    @classmethod
    def of(cls, samples: TextSamples) -> Self:
        """The texts of some samples."""
        texts = samples.texts
        assert all(len(text.tokens) for text in texts), "a text without tokens"
        types = None
        if any(text.types is not None for text in texts):
            types = _joined([_types(text) for text in texts])
        lengths = tuple(len(text.tokens) for text in texts)
        return cls(_joined([text.tokens for text in texts]), types, lengths, samples.pad)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> list[int]:
        """`(N,)`, where each begins among all tokens."""
        return [0, *itertools.accumulate(self.lengths)][:-1]

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.tokens_S.device

    def to(self, device: torch.device) -> Self:
        """The same texts on `device`."""
        if self.device == device:
            return self
        types = self.types_S
        return replace(
            self,
            tokens_S=self.tokens_S.to(device, non_blocking=True),
            types_S=None if types is None else types.to(device, non_blocking=True),
        )


def read(network: nn.Module, texts: Texts, *, whole: bool = True) -> tuple[Tensor, Stream]:
    """One forward pass.

    Args:
        network: Any.
        texts: What it reads.
        whole: Whether up to its end; else to before the last block of its head.

    Returns:
        A vector for each text `(N, K)`, or one for each token, in their order, `(S, K)`; and the
        stream of the pass.
    """
    equal = len(set(texts.lengths)) == 1
    if knows_documents(network) and not equal:
        layout = Layout.packed(texts.lengths).to(texts.device)
        types_1S = None if texts.types_S is None else texts.types_S[None]
        x, stream = texts.tokens_S[None], Stream(layout=layout, types_BT=types_1S)
        place_S = None
    else:
        # One text a row: where all are of one length, that is no padding either.
        layout = Layout.padded(texts.lengths).to(texts.device)
        place_S = None if equal else layout.present_S
        x = _rows(texts.tokens_S, place_S, layout, texts.pad)
        types = texts.types_S
        stream = Stream(types_BT=None if types is None else _rows(types, place_S, layout, 0))
    if whole:
        y = forward(network, x, stream)
    else:
        assert isinstance(network, Network), "a module without a head"
        y = before_last(network, x, stream)
    if y.ndim == 2:
        return y, stream
    y_SK = y.flatten(0, 1)
    return y_SK if place_S is None else y_SK.index_select(0, place_S), stream


def _rows(flat_S: Tensor, place_S: Tensor | None, layout: Layout, padding: int) -> Tensor:
    """One text a row: `(N, L)`."""
    shape = layout.rows, layout.time
    if place_S is None:
        return flat_S.view(shape)
    rows = flat_S.new_full((shape[0] * shape[1],), padding)
    return rows.index_copy(0, place_S, flat_S).view(shape)


def _types(text: Text) -> np.ndarray:
    return np.zeros(len(text.tokens), dtype=np.int32) if text.types is None else text.types


def _joined(parts: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))
