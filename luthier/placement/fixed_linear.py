"""Linear layers whose weights no longer change, laid out for the products of inference.

All read tensors of any type and `(…, D)`, and give `(…, E)` in the type of the product.

Dimension key, for the whole file:
    D  width that is read      E  width that is given      R  rows
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_ROWS_OF_HALVES = 4
"""Up to so many, FBGEMM's product is the faster one: 1.7 milliseconds a step of a GPT of 30M for
one row, where oneDNN's takes 2.6; 2.5 and 2.7 for 4, 3.4 and 2.9 for 8, 10.5 and 5.9 for 32 (two
cores with avx512_bf16)."""
LEAST_OF_HALVES, MOST_OF_HALVES = 2.0**-12, 60_000.0
"""Between these lies the largest weight that float16 is taken for: then it is more exact than
bfloat16, whatever the smaller weights."""
FEW_ROWS = 16
"""Up to so many, the kernel that reads 8-bit weights as they are is faster than turning them into
bfloat16 first: 1.6 milliseconds a step of a GPT of 30M for one row, 3.8 for 8, 8.4 and 10.4 for
16, 13.4 and 9.2 for 32 (two cores with avx512_bf16)."""
MULTIPLE = 16
"""The kernel for 8-bit weights reads so many of them at once, beyond the end of a row too: rows
are filled up with zeros."""
LARGEST = 127
"""Of an 8-bit weight; -128 is not used, so that the range is symmetric."""

Curve = Literal["none", "relu", "gelu", "gelu_tanh", "silu"]
"""An activation behind a product."""
_POINTWISE: dict[Curve, tuple[str, str]] = {
    "none": ("none", ""),
    "relu": ("relu", ""),
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
    "silu": ("swish", ""),
}
"""As oneDNN calls them: the operation, and the algorithm for it."""


class CastLinear(nn.Module):
    """A product with weights that were rounded once, and not at every use.

    Args:
        weight_ED: The weights.
        bias_E: What is added; none for nothing.
        dtype: Of the product.
    """

    def __init__(self, weight_ED: Tensor, bias_E: Tensor | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        # No parameters or buffers: they do not move, learn, or belong into a checkpoint.
        self.weight_ED = weight_ED.to(dtype)
        self.bias_E = None if bias_E is None else bias_E.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """The product."""
        return F.linear(x.to(self.dtype), self.weight_ED, self.bias_E)


class PackedLinear(nn.Module):
    """A product with weights in oneDNN's own layout, with an activation in the same pass.

    Of few rows it is twice as fast in bfloat16, and 2 to 10 times in float32. The activation
    reads sums that are not rounded yet.

    Args:
        weight_ED: The weights, on the CPU.
        bias_E: What is added; none for nothing.
        dtype: Of the product: float32 or bfloat16.
        curve: The activation.
    """

    def __init__(
        self,
        weight_ED: Tensor,
        bias_E: Tensor | None,
        dtype: torch.dtype,
        curve: Curve = "none",
    ) -> None:
        super().__init__()
        self.dtype = dtype
        # Looked up here: a torch without oneDNN does not know it.
        self.product = torch.ops.mkldnn._linear_pointwise.default
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight_ED.to(dtype).contiguous())
        self.bias_E = None if bias_E is None else bias_E.to(dtype)
        self.operation, self.algorithm = _POINTWISE[curve]

    @staticmethod
    def usable(dtype: torch.dtype, device: torch.device) -> bool:
        """Whether this machine can do such products of `dtype`."""
        if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return False
        if dtype == torch.bfloat16:
            return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        return dtype == torch.float32

    def forward(self, x: Tensor) -> Tensor:
        """The product, activated."""
        y: Tensor = self.product(
            x.to(self.dtype), self.packed, self.bias_E, self.operation, [], self.algorithm
        )
        return y


class HalfLinear(nn.Module):
    """A product with weights of 16 bits, in two layouts: of few rows in float16, else in bfloat16.

    For few rows FBGEMM's kernel takes two thirds of the time of oneDNN's, and is ten times as
    exact: it reads float32, and adds up in it. For many rows it is half as fast.

    Args:
        weight_ED: The weights, on the CPU.
        bias_E: What is added; none for nothing.
        curve: The activation.

    Cost:
        `4 * D * E` bytes, two a weight and layout.
    """

    def __init__(self, weight_ED: Tensor, bias_E: Tensor | None, curve: Curve = "none") -> None:
        super().__init__()
        self.many = PackedLinear(weight_ED, bias_E, torch.bfloat16, curve)
        own_E = None if bias_E is None else bias_E.detach().float()
        # The operation itself: what torch looks for before it takes a third as long as it.
        self.product = torch.ops.quantized.linear_dynamic_fp16.default._op
        self.few = torch.ops.quantized.linear_prepack_fp16(weight_ED.detach().float(), own_E)
        self.most = FEW_ROWS_OF_HALVES * weight_ED.shape[1]
        self.curve = _CURVES[curve]

    @staticmethod
    def usable(weight_ED: Tensor, device: torch.device) -> bool:
        """Whether this machine has both kernels, and float16 has the range of the weights."""
        if not PackedLinear.usable(torch.bfloat16, device):
            return False
        kernel = torch.backends.quantized.engine in ("x86", "fbgemm")
        return kernel and LEAST_OF_HALVES < float(weight_ED.abs().amax()) < MOST_OF_HALVES

    def forward(self, x: Tensor) -> Tensor:
        """The product, activated."""
        if x.numel() > self.most:
            y: Tensor = self.many(x)
            return y
        y = self.product(x.float(), self.few)
        return y if self.curve is None else self.curve(y)


_CURVES: dict[Curve, Callable[[Tensor], Tensor] | None] = {
    "none": None,
    "relu": torch.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
}


class Int8Linear(nn.Module):
    """A product of bfloat16 with whole numbers of 8 bits, each output with a scale of its own.

    Only the weights are rounded so; what is read keeps its bits, so that no row depends on what
    is beside it.

    Args:
        weight_ED: The weights, on the CPU.
        bias_E: What is added; none for nothing.

    Cost:
        `D * E` bytes, and 2 or 4 more for each output.
    """

    def __init__(self, weight_ED: Tensor, bias_E: Tensor | None) -> None:
        super().__init__()
        self.width = weight_ED.shape[1]
        self.gives = weight_ED.shape[0]
        self.most = FEW_ROWS * self.width
        self.missing = -self.width % MULTIPLE
        self.values_ED, self.scales_E = rounded(F.pad(weight_ED, (0, self.missing)))
        self.bias_E = None if bias_E is None else bias_E.to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        """The product."""
        x_RD = x.to(torch.bfloat16).reshape(-1, self.width)
        if self.missing:
            x_RD = F.pad(x_RD, (0, self.missing))
        if x.numel() <= self.most:
            y_RE: Tensor = _INT8_PRODUCT(x_RD, self.values_ED, self.scales_E)
        else:
            y_RE = F.linear(x_RD, self.values_ED.to(torch.bfloat16)).mul_(self.scales_E)
        if self.bias_E is not None:
            y_RE.add_(self.bias_E)
        return y_RE.view(*x.shape[:-1], self.gives)


_INT8_PRODUCT = torch.ops.aten._weight_int8pack_mm.default


def rounded(weight_ED: Tensor) -> tuple[Tensor, Tensor]:
    """Weights as whole numbers of 8 bits, and a bfloat16 scale for each output: `(E,)`.

    The scale is rounded first, and the weights by what it then is: so no output is off by a
    factor.

    Example:
        >>> values, scales = rounded(torch.tensor([[1.0, -2.0, 0.5]]))
        >>> (values * scales[:, None]).tolist()
        [[1.0078125, -2.0, 0.50390625]]
    """
    weight_ED = weight_ED.float()
    most_E = weight_ED.abs().amax(-1)
    scales_E = torch.where(most_E > 0, most_E / LARGEST, 1.0).to(torch.bfloat16)
    values_ED = (weight_ED / scales_E.float()[:, None]).round_()
    return values_ED.clamp_(-LARGEST, LARGEST).to(torch.int8), scales_E


def joined(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """The weights and biases of layers that read the same, one after the other.

    An adapter's part is in them. Of layers some of which have a bias, the others get zeros.
    """
    weight_ED = torch.cat(tuple(layer.weight for layer in layers))
    if all(layer.bias is None for layer in layers):
        return weight_ED, None
    biases: list[Tensor] = [
        weight_ED.new_zeros(layer.out_features) if layer.bias is None else layer.bias
        for layer in layers
    ]
    return weight_ED, torch.cat(biases)
