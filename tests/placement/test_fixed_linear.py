"""Products with weights that no longer change: the product, as exactly as their bits allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from luthier.placement import fixed_linear
from luthier.placement.fixed_linear import (
    FEW_ROWS,
    FEW_ROWS_OF_HALVES,
    CastLinear,
    Curve,
    HalfLinear,
    Int8Linear,
    PackedLinear,
    joined,
    rounded,
)

CPU = torch.device("cpu")
Kind = Callable[[Tensor, Tensor | None], nn.Module]
KINDS: dict[str, tuple[Kind, float]] = {
    # and how far it may be off: the share of the output's size
    "cast": (lambda w, b: CastLinear(w, b, torch.bfloat16), 0.006),
    "packed": (lambda w, b: PackedLinear(w, b, torch.float32), 1e-6),
    "packed in halves": (lambda w, b: PackedLinear(w, b, torch.bfloat16), 0.006),
    "halves": (HalfLinear, 0.006),
    "int8": (Int8Linear, 0.02),
}
needs_halves = pytest.mark.skipif(
    not HalfLinear.usable(torch.ones(1, 1), CPU), reason="this machine lacks FBGEMM or bfloat16"
)


def made(kind: str, weight: Tensor, bias: Tensor | None) -> nn.Module:
    dtype = torch.float32 if kind == "packed" else torch.bfloat16
    if kind.startswith("packed") and not PackedLinear.usable(dtype, CPU):
        pytest.skip("this torch has no oneDNN")
    if kind == "halves" and not HalfLinear.usable(torch.ones(1, 1), CPU):
        pytest.skip("this machine lacks FBGEMM or bfloat16")
    return KINDS[kind][0](weight, bias)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def off(found: Tensor, right: Tensor) -> float:
    return float((found - right).norm() / right.norm().clamp(min=1e-9))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(
    rows=st.sampled_from([0, 1, 2, FEW_ROWS_OF_HALVES + 1, FEW_ROWS, FEW_ROWS + 1, 40]),
    width=st.integers(1, 70),
    gives=st.integers(1, 40),
    bias=st.booleans(),
)
def test_it_is_the_product(kind: str, rows: int, width: int, gives: int, bias: bool) -> None:
    """For all sizes: a kernel that reads beyond the end of a row finds what is no number."""
    weight, b = drawn(gives, width, seed=1), drawn(gives, seed=2) if bias else None
    x = drawn(2, rows, width, seed=3)
    with torch.inference_mode():
        found = made(kind, weight, b)(x)
    right = F.linear(x, weight, b)
    assert found.shape == right.shape
    assert off(found.float(), right) < KINDS[kind][1] * 3


@needs_halves
def test_few_rows_are_ten_times_as_exact() -> None:
    weight = drawn(64, 128)
    for rows, most in ((FEW_ROWS_OF_HALVES, 4e-4), (FEW_ROWS_OF_HALVES + 1, 6e-3)):
        x = drawn(rows, 128, seed=1)
        error = off(HalfLinear(weight, None)(x).float(), F.linear(x, weight))
        assert most / 10 < error < most


@needs_halves
@pytest.mark.parametrize("size", [1e-5, 1e5, float("nan"), float("inf")])
def test_halves_are_not_taken_for_what_they_cannot_hold(size: float) -> None:
    assert not HalfLinear.usable(drawn(3, 3) * size, CPU)
    assert HalfLinear.usable(drawn(3, 3), CPU)


@pytest.mark.parametrize("curve", get_args(Curve))
@pytest.mark.parametrize("rows", [1, 40])
def test_a_curve_in_the_product(curve: Curve, rows: int) -> None:
    weight, bias, x = drawn(16, 32, seed=1), drawn(16, seed=2), drawn(rows, 32, seed=3)
    sums = F.linear(x, weight, bias)
    right = {
        "none": sums,
        "relu": F.relu(sums),
        "gelu": F.gelu(sums),
        "gelu_tanh": F.gelu(sums, approximate="tanh"),
        "silu": F.silu(sums),
    }[curve]
    if PackedLinear.usable(torch.float32, CPU):
        exact = PackedLinear(weight, bias, torch.float32, curve)(x)
        torch.testing.assert_close(exact, right, rtol=1e-4, atol=1e-5)
    if HalfLinear.usable(weight, CPU):
        assert off(HalfLinear(weight, bias, curve)(x).float(), right) < 0.01


def test_weights_of_8_bits_are_as_near_as_they_can_be() -> None:
    weight = drawn(20, 48) * torch.logspace(-6, 3, 20)[:, None]
    weight[7] = 0
    values, scales = rounded(weight)
    assert values.dtype == torch.int8
    assert int(values.abs().max()) <= 127
    again = values * scales.float()[:, None]
    assert bool(((again - weight).abs() <= 0.51 * scales.float()[:, None]).all())
    assert bool((again[7] == 0).all())


def test_a_scale_that_is_rounded_last_would_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: whole outputs are off by the rounding of their scale."""
    weight, x = drawn(64, 256), drawn(1, 256, seed=1)
    right = F.linear(x, weight)
    error = off(Int8Linear(weight, None)(x).float(), right)

    def late(weight: Tensor) -> tuple[Tensor, Tensor]:
        scales = weight.abs().amax(-1) / 127
        return (weight / scales[:, None]).round().to(torch.int8), scales.to(torch.bfloat16) * 1.004

    monkeypatch.setattr(fixed_linear, "rounded", late)
    assert off(Int8Linear(weight, None)(x).float(), right) > 1.05 * error


def test_layers_in_one_product() -> None:
    with_bias, without = nn.Linear(5, 3), nn.Linear(5, 2, bias=False)
    weight, bias = joined((with_bias, without))
    assert bias is not None
    x = drawn(4, 5)
    torch.testing.assert_close(F.linear(x, weight, bias), torch.cat([with_bias(x), without(x)], -1))
    assert joined((without, without))[1] is None
