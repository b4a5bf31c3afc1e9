"""torch's own random numbers, such as dropout's, as a function of the step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_MASK = (1 << 64) - 1
_SEED, _STEP = 0xD1342543DE82EF95, 0x2545F4914F6CDD1D  # odd and large: few sums are the same


def seed_part(device: torch.device, seed: int, step: int, part: int) -> None:
    """Begins torch's random numbers anew for one part of the batch of a step.

    So a step draws the same whatever was drawn before it, and no random state is saved.
    """
    value = _mixed(seed * _SEED + step * _STEP + part)
    # Far quicker than torch.manual_seed, which also looks for every other device.
    torch.default_generator.manual_seed(value)
    if device.type == "cuda":
        torch.cuda.manual_seed(value)
    elif device.type == "mps":
        torch.mps.manual_seed(value)


@contextmanager
def own_noise(device: torch.device) -> Iterator[None]:
    """Leaves torch's random numbers as they were found."""
    # Those of Apple's GPU have no numbered states to keep.
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _mixed(value: int) -> int:
    """A 64-bit number as another one that looks unrelated: the finalizer of SplitMix64."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
