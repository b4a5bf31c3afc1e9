"""Rotary positions, against turns of complex numbers."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from luthier.errors import SpecError
from luthier.model.blocks.rotary import Rotary
from luthier.model.blocks.rotary_scaling import LinearScalingSpec, Llama3ScalingSpec
from luthier.model.layout import Layout
from luthier.model.stream import Stream
from luthier.spec import parse

WIDTH = 8


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def by_complex_numbers(x_BTHE: Tensor, places: list[int], base: float = 1e4) -> Tensor:
    """Feature f and feature E / 2 + f as one complex number, times e^(i place base^(-2f / E))."""
    half = x_BTHE.shape[-1] // 2
    numbers = torch.complex(x_BTHE[..., :half], x_BTHE[..., half:])
    for t, place in enumerate(places):
        for f in range(half):
            angle = place * base ** (-2 * f / x_BTHE.shape[-1])
            numbers[:, t, :, f] *= complex(math.cos(angle), math.sin(angle))
    return torch.cat([numbers.real, numbers.imag], -1)


def turned(rotary: Rotary, x_BTHE: Tensor, stream: Stream | None = None) -> Tensor:
    return rotary.turned(x_BTHE, rotary.angles(stream, x_BTHE.shape[1], x_BTHE))


@pytest.mark.parametrize("base", [1e4, 50.0])
def test_pairs_are_turned(base: float) -> None:
    x = drawn(2, 5, 3, WIDTH)
    want = by_complex_numbers(x, list(range(5)), base)
    torch.testing.assert_close(turned(Rotary(WIDTH, base), x), want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("width", [WIDTH, WIDTH - 2], ids=["all", "a part"])
def test_the_gradient_is_turned_back(width: int) -> None:
    x, rotary = drawn(2, 5, 3, WIDTH).requires_grad_(), Rotary(width)
    assert torch.autograd.gradcheck(partial(turned, rotary), (x,))


def test_neighbours_as_pairs_are_caught() -> None:
    """The other order of features, that of GPT-J."""
    x = drawn(1, 5, 1, WIDTH)
    other = x.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)
    back = turned(Rotary(WIDTH), other).unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
    assert not torch.allclose(back, by_complex_numbers(x, list(range(5))), rtol=0, atol=1e-2)


def test_places_begin_again_in_each_document() -> None:
    x = drawn(1, 5, 2, WIDTH)
    stream = Stream(layout=Layout.packed((2, 3)))
    want = by_complex_numbers(x, [0, 1, 0, 1, 2])
    torch.testing.assert_close(turned(Rotary(WIDTH), x, stream), want, rtol=0, atol=1e-6)


def test_only_how_far_apart_they_are_counts() -> None:
    q, k = drawn(2, 1, 1, 1, WIDTH)
    rotary = Rotary(WIDTH)
    products = [
        (turned(rotary, q.expand(1, 9, 1, -1))[0, t] * turned(rotary, k.expand(1, 9, 1, -1))[0, s])
        .sum()
        .item()
        for t, s in ((3, 1), (7, 5), (8, 6), (3, 2))
    ]
    assert products[:3] == pytest.approx([products[0]] * 3, abs=1e-6)
    assert products[3] != pytest.approx(products[0], abs=1e-3)


def test_a_share_of_the_features() -> None:
    x = drawn(1, 4, 2, WIDTH)
    y = turned(Rotary(4), x)
    assert torch.equal(y[..., 4:], x[..., 4:])
    torch.testing.assert_close(
        y[..., :4], by_complex_numbers(x[..., :4], list(range(4))), rtol=0, atol=1e-6
    )


def test_linear_scaling_divides_all() -> None:
    scaled = Rotary(WIDTH, scaling=LinearScalingSpec(factor=4.0)).frequencies()
    torch.testing.assert_close(scaled, Rotary(WIDTH).frequencies() / 4)


def test_llama3_scaling() -> None:
    """Slow pairs divided, fast ones left, those between weighed: as in Meta's code, written so."""
    scaling = Llama3ScalingSpec(factor=8.0, trained_context=8192)
    plain = Rotary(128, 500_000.0).frequencies().double()
    want = []
    for frequency in plain.tolist():
        length = 2 * math.pi / frequency
        if length < 8192 / 4:
            want.append(frequency)
        elif length > 8192 / 1:
            want.append(frequency / 8)
        else:
            smooth = (8192 / length - 1) / (4 - 1)
            want.append((1 - smooth) * frequency / 8 + smooth * frequency)
    got = Rotary(128, 500_000.0, scaling).frequencies().double()
    torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64), rtol=1e-5, atol=0)
    ratio = got / plain
    assert float(ratio.max()) == 1
    assert float(ratio.min()) == pytest.approx(1 / 8)
    assert bool(((ratio > 0.13) & (ratio < 0.99)).any())


def test_frequencies_in_the_wrong_order() -> None:
    with pytest.raises(SpecError, match="high_frequency: got 1, wanted more than low_frequency, 1"):
        parse(Llama3ScalingSpec, {"kind": "llama3", "high_frequency": 1.0})


def test_bfloat16_still_tells_neighbours_apart() -> None:
    """Place 1001 is no number of bfloat16: angles must not be made in it."""
    like = torch.zeros(1, 1002, 1, WIDTH, dtype=torch.bfloat16)
    cos, sin = Rotary(WIDTH).angles(None, 1002, like)
    assert cos.dtype == torch.bfloat16
    assert float(cos[1001, 0]) == pytest.approx(math.cos(1001), abs=0.01)
    assert float(sin[1001, -WIDTH // 2]) == pytest.approx(math.sin(1001), abs=0.01)
    rounded = float(torch.tensor(1001.0).bfloat16())
    assert abs(math.cos(rounded) - math.cos(1001)) > 0.1


def test_made_once_in_a_pass() -> None:
    stream, like = Stream(), torch.zeros(1, 5, 1, WIDTH)
    first = Rotary(WIDTH).angles(stream, 5, like)
    assert Rotary(WIDTH).angles(stream, 5, like) is first
    assert Rotary(WIDTH, 50.0).angles(stream, 5, like) is not first
    assert Rotary(WIDTH).angles(stream, 5, like.double()) is not first
    assert Rotary(WIDTH).angles(Stream(), 5, like) is not first
