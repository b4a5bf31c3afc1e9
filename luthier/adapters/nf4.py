"""Weights in four bits: NormalFloat, with scales that are quantised too.

Dimension key, for the whole file:
    N  weights      K  blocks of 64      G  groups of 256 blocks
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CODE_BOOK = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""The sixteen values, as in bitsandbytes: about as often as each other among weights that are
normal, divided by the largest of 64."""
BLOCK = 64
GROUP = 256
_LARGEST = 127
_QUANTISED_AT_ONCE = 2**20
"""Weights whose distances to the values are there at once."""


class Nf4(nn.Module):
    """A matrix in four bits a weight, and a little for the scales.

    Each block of 64 weights is divided by its largest, and each quotient becomes the number of the
    nearest of sixteen values. The largest ones are quantised too: less their mean, in groups of
    256, to eight bits. It cannot be trained.

    Args:
        weight: Floating-point numbers of any shape; on the meta device only shapes are made.

    Cost:
        Bytes: `N / 2 + N / 64 + 4 * N / (64 * 256)`: 4.13 bits a weight.

    Source:
        Dettmers et al. 2023 (QLoRA), section 3, 2305.14314. Ours has eight evenly spaced bits for
        the scales in place of an 8-bit float; they lie close together once their mean is taken
        away.

    Example:
        >>> weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
        >>> nf4 = Nf4(weight)
        >>> float((nf4.weight() - weight).abs().mean()) < 0.08
        True
        >>> nf4.bytes, weight.nbytes
        (1064, 8192)
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.shape = tuple(weight.shape)
        self.dtype = weight.dtype
        count = weight.numel()
        blocks = -(-count // BLOCK)
        groups = -(-blocks // GROUP)
        device = weight.device
        # Parameters and no buffers: a training step changes buffers, and puts them back.
        self.codes = _fixed(torch.empty(blocks * BLOCK // 2, dtype=torch.uint8, device=device))
        self.scales = _fixed(torch.empty(blocks, dtype=torch.int8, device=device))
        self.steps = _fixed(torch.empty(groups, dtype=torch.float32, device=device))
        self.mean = _fixed(torch.empty((), dtype=torch.float32, device=device))
        if not weight.is_meta:
            self._quantise(weight)

    @property
    def bytes(self) -> int:
        """Of memory."""
        return sum(part.numel() * part.element_size() for part in self.parameters())

    def weight(self, dtype: torch.dtype | None = None) -> Tensor:
        """The matrix, of about the values that it had.

        Args:
            dtype: None for the type that it had.
        """
        # Two weights are one number, looked up in a table of 256 pairs: a quarter of the time.
        made = torch.float32 if dtype in (None, torch.float64) else dtype
        assert made is not None
        table = _pairs(made, self.codes.device)
        wide = torch.int64 if made == torch.float32 else torch.int32
        pairs = torch.index_select(table.view(wide)[:, 0], 0, self.codes.int())
        values_KB = pairs.view(made).view(-1, BLOCK)
        flat = values_KB.mul_(self._scales_K().to(made)[:, None]).flatten()
        count = torch.Size(self.shape).numel()
        return flat[:count].view(self.shape).to(dtype or self.dtype)

    def _scales_K(self) -> Tensor:
        """The largest of each block."""
        steps_K = self.steps.repeat_interleave(GROUP)[: len(self.scales)]
        return torch.addcmul(self.mean, self.scales.float(), steps_K)

    @torch.no_grad()
    def _quantise(self, weight: Tensor) -> None:
        flat = F.pad(weight.detach().float().flatten(), (0, -weight.numel() % BLOCK))
        blocks_KB = flat.view(-1, BLOCK)
        largest_K = blocks_KB.abs().amax(1)
        self.mean.copy_(largest_K.mean())
        apart_K = F.pad(largest_K - self.mean, (0, -len(largest_K) % GROUP))
        steps_G = apart_K.view(-1, GROUP).abs().amax(1) / _LARGEST
        steps_G = steps_G.clamp_min(torch.finfo(torch.float32).tiny)
        self.steps.copy_(steps_G)
        eighths_K = (apart_K.view(-1, GROUP) / steps_G[:, None]).round().flatten()
        self.scales.copy_(eighths_K[: len(largest_K)].to(torch.int8))
        # By the scales as they are read again, so that their rounding is made up for.
        scale_K = self._scales_K()
        safe_K1 = torch.where(scale_K > 0, scale_K, torch.ones_like(scale_K))[:, None]
        numbers = _nearest((blocks_KB / safe_K1).flatten())
        self.codes.copy_(numbers[0::2] * 16 + numbers[1::2])


def linear(x: Tensor, nf4: Nf4, bias: Tensor | None) -> Tensor:
    """`x W^T + b`; the weights are made once for each pass, and not kept between both."""
    kind = x.device.type
    if not x.is_meta and torch.is_autocast_enabled(kind) and x.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(kind)
        x, bias = x.to(dtype), None if bias is None else bias.to(dtype)
    y: Tensor = _Product.apply(x, nf4, bias)  # type: ignore[no-untyped-call]
    return y


class _Product(torch.autograd.Function):
    """The gradient reaches the input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, nf4: Nf4, bias: Tensor | None) -> Tensor:
        ctx.nf4 = nf4
        ctx.has_bias = bias is not None and ctx.needs_input_grad[2]
        return F.linear(x, nf4.weight(x.dtype), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        d_x = d_y @ ctx.nf4.weight(d_y.dtype) if ctx.needs_input_grad[0] else None
        d_bias = d_y.flatten(0, -2).sum(0) if ctx.has_bias else None
        return d_x, None, d_bias


def _pairs(dtype: torch.dtype, device: torch.device) -> Tensor:
    """For each byte, both values: that of the high half, then that of the low one. `(256, 2)`."""
    book = torch.tensor(CODE_BOOK, device=device)
    both = torch.stack([book.repeat_interleave(16), book.repeat(16)], 1)
    return both.to(dtype).contiguous()


def _nearest(values_N: Tensor) -> Tensor:
    """The number of the nearest value of the code book. uint8."""
    book = torch.tensor(CODE_BOOK, device=values_N.device)
    between = (book[1:] + book[:-1]) / 2
    found = torch.empty(len(values_N), dtype=torch.uint8, device=values_N.device)
    for start in range(0, len(values_N), _QUANTISED_AT_ONCE):
        part = slice(start, start + _QUANTISED_AT_ONCE)
        found[part] = torch.bucketize(values_N[part].contiguous(), between)
    return found


def _fixed(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
