"""Pools against torch's own, and their errors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks.pool import (
    AdaptivePoolSpec,
    AveragePoolSpec,
    GlobalPoolSpec,
    MaxPoolSpec,
)
from luthier.model.chain import Chain
from luthier.signal import Signal
from luthier.spec import parse

IMAGE = Signal.of((4, 9, 8))
SEQUENCE = Signal.of((9, 4))


def image() -> Tensor:
    return torch.randn(2, 4, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_max_pool() -> None:
    pool = MaxPoolSpec(size=3, stride=2, padding=1).build(IMAGE)
    assert torch.equal(pool(image()), F.max_pool2d(image(), 3, 2, 1))
    over_time = MaxPoolSpec(size=2).build(SEQUENCE)
    x_BTD = image()[:, :, :, 0].transpose(1, 2)
    assert torch.equal(over_time(x_BTD), F.max_pool1d(x_BTD.transpose(1, 2), 2).transpose(1, 2))


def test_an_activation_may_stand_behind_the_max_pool() -> None:
    pool = MaxPoolSpec(size=2).build(IMAGE)
    assert isinstance(pool.activation, nn.Identity)
    before = MaxPoolSpec(size=2).build(IMAGE)(image().relu())
    pool.activation = nn.ReLU()
    assert torch.equal(pool(image()), before)


def test_the_padding_does_not_count_in_a_mean() -> None:
    ones = torch.ones_like(image())
    assert AveragePoolSpec(size=3, stride=1, padding=1).build(IMAGE)(ones).unique().tolist() == [1]
    counted = F.avg_pool2d(ones, 3, 1, 1)
    assert counted.min() < 1


def test_adaptive_and_global() -> None:
    means = AdaptivePoolSpec(size=(3, 2)).build(IMAGE)(image())
    assert torch.equal(means, F.adaptive_avg_pool2d(image(), (3, 2)))
    whole = GlobalPoolSpec().build(IMAGE)(image())
    torch.testing.assert_close(whole, AdaptivePoolSpec(size=1).build(IMAGE)(image()).flatten(1))
    assert torch.equal(GlobalPoolSpec(reduce="max").build(IMAGE)(image()), image().amax((2, 3)))
    x_BTD = image()[:, :, :, 0].transpose(1, 2)
    assert torch.equal(GlobalPoolSpec().build(SEQUENCE)(x_BTD), x_BTD.mean(1))


@settings(deadline=None, max_examples=100)
@given(
    kind=st.sampled_from([MaxPoolSpec, AveragePoolSpec]),
    reads=st.sampled_from([IMAGE, SEQUENCE]),
    size=st.integers(1, 12),
    stride=st.one_of(st.none(), st.integers(1, 5)),
    padding=st.integers(0, 6),
)
def test_it_builds_or_says_why_not(
    kind: type[BlockSpec], reads: Signal, size: int, stride: int | None, padding: int
) -> None:
    spec = parse(kind, {"size": size, "stride": stride, "padding": padding})
    try:
        gives = Chain((spec,), reads, "model.layers").gives
    except ShapeError as error:
        assert str(error).startswith(f"model.layers[0]: {spec.kind} ")  # noqa: PT017
        return
    assert gives.width == reads.width


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            MaxPoolSpec(size=10),
            "max_pool needs 10 × 10 positions for its size of 10 × 10, but gets an image "
            "(4, 9, 8); make the size smaller, or add padding",
        ),
        (
            AveragePoolSpec(size=2, padding=2),
            "average_pool has a padding of 2 × 2 for windows of 2 × 2; wanted at most half of the "
            "size",
        ),
        (
            AdaptivePoolSpec(size=(1, 2, 3)),
            "adaptive_pool has the size [1, 2, 3], but gets an image (4, 9, 8), which has height "
            "and width; give one number for both, or two",
        ),
    ],
)
def test_messages(spec: BlockSpec, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Chain((spec,), IMAGE, "model.layers")
    assert str(caught.value) == f"model.layers[0]: {message}"


def test_a_vector_has_nothing_to_pool() -> None:
    with pytest.raises(ShapeError) as caught:
        Chain((GlobalPoolSpec(), GlobalPoolSpec()), IMAGE, "model.layers")
    assert str(caught.value) == (
        "model.layers[1]: global_pool reads an image or a sequence, but gets a vector (4) from "
        "global_pool; leave it out"
    )
