"""RMS norm, with a backward by a kernel.

Torch has no kernel of its own for the CPU: it puts the norm together from a dozen operations.
The gradient of a layer norm is that of an RMS norm, but for the mean that it takes away; so its
kernel, told that the mean was zero, does nearly all of the work: a norm of 2,048 positions of
width 256 takes 0.65 instead of 2.3 ms, forward and backward, on one core.

Dimension key, for the whole file:
    D  features
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EXACT = (torch.float32, torch.float64)
"""In fewer bits torch's own rounds less often."""


class RmsNorm(nn.RMSNorm):
    """`x / root(mean(x^2) + epsilon) * weight`, over the last dimension.

    Source:
        Zhang and Sennrich 2019, 1910.07467.

    Example:
        >>> RmsNorm(2, eps=1e-6)(torch.tensor([3.0, -3.0])).tolist()
        [1.0, -1.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        weight, epsilon = self.weight, self.eps
        learns = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
        fits = x.device.type == "cpu" and x.dtype == weight.dtype and x.dtype in EXACT
        if not (learns and fits) or epsilon is None:
            own: Tensor = super().forward(x)
            return own
        y: Tensor = _RmsNorm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
        return y


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        shrink = length.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, shrink, weight_D)
        return (x * shrink).mul_(weight_D)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, shrink, weight_D = ctx.saved_tensors
        means = torch.zeros_like(shrink)
        dx, dweight_D, _ = torch.ops.aten.native_layer_norm_backward(
            dy, x, weight_D.shape, means, shrink, weight_D, None, (True, True, False)
        )
        # What a layer norm takes away, since its mean moves with its input.
        moved = (dy @ weight_D)[..., None].mul_(shrink).div_(x.shape[-1])
        return dx.add_(moved), dweight_D, None
