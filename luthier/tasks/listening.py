"""What a network says at the frames of a sound, however long it is.

Dimension key, for the whole file:
    S  frames that are read      M  values of a frame      T  frames as the network gives them
    V  tokens and the blank
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.model.blueprint import Network
from luthier.model.stream import Streamed
from luthier.tasks.ctc import LogP, least_frames
from luthier.tasks.forward import in_float32
from luthier.tasks.sounds import Sounds, hear

LONGER = 1.5
"""Times the longest sound that was learned from, above which a sound is read in windows."""
OVERLAP = 0.25
"""The share of a window that is heard on each side, and not believed."""


def log_p_of(network: nn.Module, frames_SM: Tensor) -> LogP:
    """`(T, V)`, logarithms of probabilities at the frames of one sound.

    In windows where it is long: each reads some frames before and behind those that it answers
    for, so that what is said there does not begin or end at a cut.

    Args:
        network: Any.
        frames_SM: The sound.
    """
    total = len(frames_SM)
    if not isinstance(network, Network) or total <= LONGER * network.reads.shape[0]:
        return _whole(network, frames_SM)
    step = left_out(network)
    margin = max(1, int(OVERLAP * network.reads.shape[0]) // step) * step
    core = max(1, (network.reads.shape[0] - 2 * margin) // step) * step
    parts = []
    for start in range(0, total, core):
        begin, stop = max(start - margin, 0), min(start + core, total)
        heard = _whole(network, frames_SM[begin : min(stop + margin, total)])
        first = (start - begin) // step
        parts.append(heard[first : first + -(-(stop - start) // step)])
    return np.concatenate(parts)


def left_out(network: nn.Module) -> int:
    """Frames that are read for each that a network gives."""
    frames = 2**20
    return frames // lengths_behind(network, (frames,))[0]


def lengths_behind(network: nn.Module, lengths: Sequence[int]) -> tuple[int, ...]:
    """Frames of each sound behind a network; as many as before it, unless a block says so."""
    left = tuple(lengths)
    for module in network.modules():
        if isinstance(module, Streamed):
            left = module.lengths_behind(left)
    return left


def fitting(frames: Sequence[int], tokens: Sequence[NDArray[np.int32]]) -> list[bool]:
    """Whether each text fits into its frames."""
    return [least_frames(text) <= count for text, count in zip(tokens, frames, strict=True)]


def _whole(network: nn.Module, frames_SM: Tensor) -> LogP:
    y, _, _ = hear(network, Sounds(frames_SM, (len(frames_SM),)))
    log_p = in_float32(y.reshape(-1, y.shape[-1])).log_softmax(-1)
    found: LogP = log_p.detach().cpu().double().numpy()
    return found
