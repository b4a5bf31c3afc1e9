"""Convolutions against torch's own, and their errors."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks.conv import Conv, ConvSpec
from luthier.model.chain import Chain
from luthier.signal import Signal
from luthier.spec import parse

IMAGE = Signal.of((4, 9, 8))
SEQUENCE = Signal.of((9, 4))


def filled(module: Conv) -> Conv:
    generator = torch.Generator().manual_seed(0)
    module = module.double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_is_that_of_torch(kernel: int, dilation: int) -> None:
    spec = ConvSpec(channels=6, kernel=kernel, dilation=dilation, padding="same")
    conv = filled(spec.build(IMAGE))
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    theirs = F.conv2d(x, conv.conv.weight, conv.conv.bias, padding="same", dilation=dilation)
    torch.testing.assert_close(conv(x), theirs, rtol=0, atol=1e-12)


def test_same_with_a_stride_pads_both_sides_alike() -> None:
    """As ResNets do; not as TensorFlow, which pads the end more."""
    conv = filled(ConvSpec(channels=6, kernel=3, stride=2, padding="same").build(IMAGE))
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    ours = conv(x)
    right = F.conv2d(x, conv.conv.weight, conv.conv.bias, stride=2, padding=1)
    wrong = F.conv2d(F.pad(x, (0, 1, 1, 1)), conv.conv.weight, conv.conv.bias, stride=2)
    assert torch.equal(ours, right)
    assert ours.shape == wrong.shape
    assert not torch.allclose(ours, wrong)


def test_a_sequence_is_filtered_over_time() -> None:
    conv = filled(ConvSpec(channels=6, kernel=3, stride=2, activation="relu").build(SEQUENCE))
    x_BTD = torch.randn(2, 9, 4, dtype=torch.float64)
    theirs = F.conv1d(x_BTD.transpose(1, 2), conv.conv.weight, conv.conv.bias, stride=2)
    torch.testing.assert_close(conv(x_BTD), theirs.transpose(1, 2).relu(), rtol=0, atol=1e-12)


def test_depthwise_channels_do_not_see_each_other() -> None:
    conv = filled(ConvSpec(channels=8, kernel=3, groups="depthwise").build(IMAGE))
    assert conv.conv.weight.shape == (8, 1, 3, 3)
    x = torch.randn(1, 4, 9, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, 1] += 1
    moved = (conv(x) != conv(changed)).flatten(2).any(2)
    assert moved.flatten().tolist() == [False, False, True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("norm", "bias"),
    [("none", True), ("rms", True), ("batch", False), ("layer", False), ("group", False)],
)
def test_auto_bias(norm: str, bias: bool) -> None:
    conv = parse(ConvSpec, {"channels": 32, "kernel": 1, "norm": norm}).build(IMAGE)
    assert (conv.conv.bias is not None) == bias


def test_the_parts_stand_in_their_order() -> None:
    conv = ConvSpec(channels=2, kernel=1, norm="batch", activation="relu").build(IMAGE)
    assert [name for name, _ in conv.named_children()] == ["conv", "norm", "activation"]


sizes = st.integers(1, 6)


@settings(deadline=None, max_examples=150)
@given(
    image=st.booleans(),
    kernel=st.one_of(sizes, st.lists(sizes, min_size=1, max_size=3)),
    stride=sizes,
    dilation=st.integers(1, 3),
    padding=st.one_of(st.sampled_from(["same", "valid"]), st.integers(0, 4)),
    groups=st.one_of(st.integers(1, 5), st.just("depthwise")),
    channels=sizes,
)
def test_it_builds_or_says_why_not(image: bool, **drawn: object) -> None:
    """Torch never complains: whatever it would refuse, we refuse before."""
    spec = parse(ConvSpec, drawn)
    reads = IMAGE if image else SEQUENCE
    try:
        gives = Chain((spec,), reads, "model.layers").gives
    except ShapeError as error:
        assert str(error).startswith("model.layers[0]: conv ")  # noqa: PT017
        return
    assert gives.form == reads.form
    assert gives.width == spec.channels
    if spec.padding == "same":
        stride = spec.stride
        assert isinstance(stride, int)
        before = reads.shape[1:] if image else reads.shape[:1]
        after = gives.shape[1:] if image else gives.shape[:1]
        assert after == tuple(-(-size // stride) for size in before)


@pytest.mark.parametrize(
    ("data", "reads", "message"),
    [
        (
            {"kernel": 10},
            IMAGE,
            "conv needs 10 × 10 positions for its kernel of 10 × 10, but gets an image (4, 9, 8); "
            "make the kernel smaller, or add padding",
        ),
        (
            {"kernel": 4, "dilation": 3},
            SEQUENCE,
            "conv needs 10 positions for its kernel of 4, but gets a sequence (9, 4); make the "
            "kernel smaller, or add padding",
        ),
        (
            {"kernel": 3, "groups": 3},
            IMAGE,
            "conv has 3 groups, which do not divide the 4 channels of an image (4, 9, 8); wanted a "
            "divisor of both 4 and 6",
        ),
        (
            {"kernel": 3, "groups": "depthwise"},
            IMAGE,
            "conv has 4 groups (depthwise), which do not divide the 6 channels that it gives; "
            "wanted a divisor of both 4 and 6",
        ),
        (
            {"kernel": [3, 3]},
            SEQUENCE,
            "conv has the kernel [3, 3], but gets a sequence (9, 4), which has time; give one "
            "number",
        ),
        (
            {"kernel": 3, "stride": [1]},
            IMAGE,
            "conv has the stride [1], but gets an image (4, 9, 8), which has height and width; "
            "give one number for both, or two",
        ),
        (
            {"kernel": 3},
            Signal.of((12,)),
            "conv reads an image or a sequence, but gets a vector (12); put it before what "
            "flattens",
        ),
    ],
)
def test_messages(data: dict[str, object], reads: Signal, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        Chain((parse(ConvSpec, {"channels": 6, **data}),), reads, "model.layers")
    assert str(caught.value) == f"model.layers[0]: {message}"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"channels": 0, "kernel": 3}, "channels: got 0, wanted at least 1"),
        ({"channels": True, "kernel": 3}, "channels: got true, wanted a whole number"),
        ({"channels": 3, "kernel": 3, "bias": "yes"}, 'got "yes", wanted true or false or "auto"'),
        ({"channels": 3, "kernel": 3, "padding": -1}, "padding: got -1"),
        ({"channels": 3, "kernel": 3, "padding": "sme"}, '"same" or "valid"'),
        ({"channels": 2**21, "kernel": 3}, "channels: got 2097152"),
    ],
)
def test_bad_settings(data: dict[str, object], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(ConvSpec, data)
    assert problem in str(caught.value)
