"""Transposed convolutions against torch's own, and their errors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks.conv_transpose import ConvTransposeSpec
from luthier.model.chain import Chain
from luthier.signal import Signal
from luthier.spec import parse

IMAGE = Signal.of((4, 5, 6))
SEQUENCE = Signal.of((5, 4))


def test_it_is_the_gradient_of_a_convolution() -> None:
    spec = ConvTransposeSpec(channels=6, kernel=3, stride=2, padding=1, extra=1)
    block = spec.build(IMAGE).double()
    nn.init.normal_(block.conv.weight)
    nn.init.zeros_(block.conv.bias)
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    y = torch.zeros(2, 6, 10, 12, dtype=torch.float64, requires_grad=True)
    (F.conv2d(y, block.conv.weight, stride=2, padding=1) * x).sum().backward()
    assert y.grad is not None
    torch.testing.assert_close(block(x), y.grad, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=150)
@given(
    image=st.booleans(),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    padding=st.one_of(st.sampled_from(["same", "valid"]), st.integers(0, 6)),
    extra=st.integers(0, 3),
    groups=st.one_of(st.integers(1, 4), st.just("depthwise")),
)
def test_it_builds_or_says_why_not(image: bool, **drawn: object) -> None:
    reads = IMAGE if image else SEQUENCE
    try:
        spec = parse(ConvTransposeSpec, {"channels": 4, **drawn})
        gives = Chain((spec,), reads, "model.layers").gives
    except (ShapeError, SpecError) as error:
        assert "conv_transpose" in str(error) or "extra" in str(error)  # noqa: PT017
        return
    if spec.padding == "same":
        assert isinstance(spec.stride, int)
        before = reads.shape[1:] if image else reads.shape[:1]
        after = gives.shape[1:] if image else gives.shape[:1]
        assert after == tuple(size * spec.stride for size in before)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"kernel": 2, "stride": 3, "padding": "same"},
            "conv_transpose has padding: same with patches of 2 × 2, smaller than its stride of "
            "3 × 3; make the kernel larger, or leave padding out",
        ),
        (
            {"kernel": 2, "padding": 3},
            "conv_transpose cuts 3 × 3 positions from each side, which leaves nothing of an image "
            "(4, 5, 6); make the padding smaller",
        ),
        (
            {"kernel": 3, "stride": 2, "extra": 2},
            "conv_transpose has an extra of 2; wanted fewer than its stride (2) or its dilation "
            "(1)",
        ),
    ],
)
def test_messages(data: dict[str, object], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Chain((parse(ConvTransposeSpec, {"channels": 4, **data}),), IMAGE, "model.layers")
    assert str(caught.value) == f"model.layers[0]: {message}"


def test_an_extra_that_would_not_be_used() -> None:
    with pytest.raises(SpecError, match="extra is chosen by padding: same; leave out one"):
        parse(ConvTransposeSpec, {"channels": 4, "kernel": 3, "padding": "same", "extra": 1})
