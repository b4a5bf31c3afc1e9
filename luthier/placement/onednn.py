"""Convolutions and max pools at a network's start, in oneDNN's own layout on the CPU.

PyTorch's max pool keeps a 64-bit index for each value that it lets through, and scatters the
gradient by it. oneDNN's keeps a byte, and stays in the layout that its convolutions write. The
values and the gradients are the same, bit for bit.

Dimension key:
    B  batch    C  channels    H  height    W  width
"""

from __future__ import annotations

from itertools import takewhile

import torch
from torch import Tensor, nn

from luthier.model.blocks.conv import Conv
from luthier.model.blocks.flatten import Flatten
from luthier.model.blocks.pool import MaxPool
from luthier.model.blueprint import Network
from luthier.model.chain import Chain


class OpaqueConv2d(nn.Conv2d):
    """A convolution that gives a tensor in oneDNN's layout, and reads any. Same weights."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> OpaqueConv2d:
        """`conv`, with its very parameters."""
        with torch.device("meta"):
            opaque = cls(
                conv.in_channels,
                conv.out_channels,
                conv.kernel_size,  # type: ignore[arg-type]
                stride=conv.stride,  # type: ignore[arg-type]
                padding=conv.padding,  # type: ignore[arg-type]
                dilation=conv.dilation,  # type: ignore[arg-type]
                groups=conv.groups,
                bias=conv.bias is not None,
            )
        opaque.weight, opaque.bias = conv.weight, conv.bias
        return opaque

    def forward(self, input: Tensor) -> Tensor:
        """The filtered images, opaque: only oneDNN's operations read them."""
        assert not isinstance(self.padding, str)
        x_BCHW, weight, bias = input, self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            weight = weight.to(dtype)
            bias = bias if bias is None else bias.to(dtype)
            x_BCHW = x_BCHW if x_BCHW.is_mkldnn else x_BCHW.to(dtype)
        if not x_BCHW.is_mkldnn:
            x_BCHW = x_BCHW.to_mkldnn()
        y_BCHW: Tensor = torch.mkldnn_convolution(
            x_BCHW, weight, bias, self.padding, self.stride, self.dilation, self.groups
        )
        return y_BCHW


class ToPlain(nn.Module):
    """From oneDNN's layout to `(B, C, H, W)`, contiguous."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The same images."""
        return x_BCHW.to_dense()


def opaque_start(network: nn.Module) -> int:
    """Puts the run of convolutions and max pools that a network begins with into oneDNN's layout.

    Done where the run ends with a max pool before a flatten: elsewhere the conversions would
    cost what it saves. The flatten then reads plain images, and needs no other order. Call it
    after `pool_first`, on the CPU, and not for a network to be compiled. Weights of another type
    than float32 are left alone.

    Returns:
        The number of blocks in the run; 0 where nothing was changed.
    """
    if not isinstance(network, Network) or not isinstance(network.layers, Chain):
        return 0
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return 0
    blocks = [*network.layers, *network.neck, *network.head]
    run = list(takewhile(_fits, blocks))
    pool = run[-1] if run else None
    if len(run) < 2 or not isinstance(pool, MaxPool):
        return 0
    if len(blocks) == len(run) or not isinstance(blocks[len(run)], Flatten):
        return 0
    for block in run:
        if isinstance(block, Conv):
            assert isinstance(block.conv, nn.Conv2d)
            block.conv = OpaqueConv2d.of(block.conv)
    pool.activation = nn.Sequential(ToPlain(), pool.activation)
    return len(run)


def _fits(block: nn.Module) -> bool:
    """Whether oneDNN has the block's operations, forward and backward."""
    if not isinstance(block, Conv | MaxPool) or block.over_time:
        return False
    if not isinstance(block.activation, nn.ReLU | nn.Identity):
        return False
    if isinstance(block, Conv):
        plain = type(block.conv) is nn.Conv2d and not block.margins
        plain = plain and isinstance(block.norm, nn.Identity)
        return plain and block.conv.weight.dtype == torch.float32
    return True
