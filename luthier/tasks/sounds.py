"""Sounds of different lengths, as a network reads them.

Dimension key, for the whole file:
    N  sounds      S  frames of all sounds      L  frames of the longest      M  values of a frame
    K  what is given
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from luthier.data.sound.sound_examples import SoundSamples
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.tasks.forward import forward, knows_documents


@dataclass(frozen=True)
class Sounds:
    """The frames of several sounds, one sound after the other.

    A network that is made of blocks reads them as a single row without padding: each block keeps
    them apart. Somebody's own module gets one sound a row, with zeros behind it.
    """

    frames_SM: Tensor
    """float32."""
    lengths: tuple[int, ...]
    """`(N,)` frames of each, at least one."""

    @classmethod
    def of(cls, samples: SoundSamples) -> Self:
        """The sounds of some samples."""
        assert all(len(frames) for frames in samples.frames), "a sound without frames"
        return cls(torch.cat(list(samples.frames)), tuple(map(len, samples.frames)))

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def device(self) -> torch.device:
        """Where the frames are."""
        return self.frames_SM.device

    def to(self, device: torch.device) -> Self:
        """The same sounds on `device`."""
        if self.device == device:
            return self
        return replace(self, frames_SM=self.frames_SM.to(device, non_blocking=True))


def hear(network: nn.Module, sounds: Sounds) -> tuple[Tensor, Stream, Layout]:
    """One forward pass.

    Args:
        network: Any.
        sounds: What it reads.

    Returns:
        What the network gives: a vector for each sound `(N, K)`, or rows of vectors; the stream of
        the pass; and where the sounds lie in what is given.
    """
    layout = Layout.packed(sounds.lengths)
    if len(set(sounds.lengths)) == 1:
        layout = Layout.padded(sounds.lengths)
        x = sounds.frames_SM.view(layout.rows, layout.time, -1)
        stream = Stream()
    elif knows_documents(network):
        x = sounds.frames_SM[None]
        stream = Stream(layout=layout.to(sounds.device))
    else:
        layout = Layout.padded(sounds.lengths)
        parts = torch.split(sounds.frames_SM, list(sounds.lengths))
        x, stream = nn.utils.rnn.pad_sequence(list(parts), batch_first=True), Stream()
    y = forward(network, x, stream)
    if stream.layout is not None:  # a block may have changed the positions
        layout = stream.layout
    elif y.ndim == 3 and y.shape[1] != layout.time:
        layout = Layout.padded([y.shape[1]] * len(y))
    return y, stream, layout
