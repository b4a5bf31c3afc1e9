"""The shape that a module gives, found by running it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.signal import Signal

ROWS = 2
"""Batch norm cannot train on a single row."""
LARGEST_ELEMENTS = 2**36
"""Elements of one sample's signal; far above any use, and far below what overflows."""


def sample(signal: Signal, rows: int, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """Zeros in the form of `signal`; whole numbers for tokens. `(rows, *signal.shape)`."""
    if signal.form == "tokens":
        dtype = torch.int64
    return torch.zeros((rows, *signal.shape), device=device, dtype=dtype)


def measure(module: nn.Module, reads: Signal, device: torch.device | str = "meta") -> Signal:
    """What `module` makes of `reads`.

    Args:
        module: With its weights on `device`; on the meta device nothing is computed.
        reads: What it gets.
        device: Where to run it.

    Raises:
        ShapeError: If what it gives is not the signal of a sample: no tensor, another number of
            rows, a form that luthier has no name for, or nothing or too much of it.
    """
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    with torch.no_grad():
        y = module(sample(reads, ROWS, device, dtype))
    if not isinstance(y, Tensor):
        raise ShapeError(f"gives {type(y).__name__}; wanted a tensor")
    shape = tuple(y.shape)
    if not 2 <= len(shape) <= 4 or shape[0] != ROWS:
        raise ShapeError(
            f"gives a tensor {shape} for {ROWS} rows of {reads}; wanted ({ROWS}, …) with 1 to 3 "
            "more dimensions"
        )
    if not 0 < math.prod(shape[1:]) <= LARGEST_ELEMENTS:
        raise ShapeError(
            f"gives {Signal.of(shape[1:])} for {reads}; wanted 1 to {LARGEST_ELEMENTS:,} elements"
        )
    return Signal.of(shape[1:])
