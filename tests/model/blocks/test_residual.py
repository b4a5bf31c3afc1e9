"""Residuals: shortcuts, their strides, and their errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks.conv import Conv
from luthier.model.blocks.dense import Dense
from luthier.model.blocks.dropout import DropPath
from luthier.model.blocks.residual import Pad, Residual, ResidualSpec
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse

IMAGE = Signal.of((4, 9, 8))
SEQUENCE = Signal.of((9, 4))
SAME = {"kind": "conv", "channels": 4, "kernel": 3, "padding": "same"}


def residual(data: dict[str, Any], reads: Signal = IMAGE) -> Residual:
    chain = Chain((parse(ResidualSpec, data),), reads, "model.layers")
    materialize(chain, seed=0, spec=InitializeSpec(), dtype=torch.float64)
    block = chain[0]
    assert isinstance(block, Residual)
    return block


def image() -> Tensor:
    return torch.randn(2, 4, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_the_sum_is_activated() -> None:
    block = residual({"layers": [SAME], "activation": "relu"})
    assert isinstance(block.shortcut, nn.Identity)
    x = image()
    right = (x + block.layers(x)).relu()
    assert torch.equal(block(x), right)
    assert not torch.allclose(right, x + block.layers(x).relu())


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("reads", [IMAGE, SEQUENCE], ids=lambda signal: signal.form)
def test_a_projection_takes_the_stride_of_the_layers(stride: int, reads: Signal) -> None:
    block = residual({"layers": [{**SAME, "channels": 6, "stride": stride}]}, reads)
    assert isinstance(block.shortcut, Conv)
    strides = {stride}
    assert set(block.shortcut.conv.stride) == strides
    assert set(block.shortcut.conv.kernel_size) == {1}
    assert isinstance(block.shortcut.norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert block.shortcut.conv.bias is None


def test_a_vector_is_projected_by_a_dense_layer() -> None:
    block = residual({"layers": [{"kind": "dense", "width": 3}]}, Signal.of((5,)))
    assert isinstance(block.shortcut, Dense)
    assert block.shortcut.linear.weight.shape == (3, 5)


def test_the_norm_of_the_projection() -> None:
    layers = [{**SAME, "channels": 6}]
    block = residual({"layers": layers, "projection_norm": "none"})
    assert isinstance(block.shortcut, Conv)
    assert isinstance(block.shortcut.norm, nn.Identity)
    assert block.shortcut.conv.bias is not None


def option_a(x_BCHW: Tensor, planes: int) -> Tensor:
    """The shortcut of the CIFAR ResNets, as their paper's section 4.2 describes it."""
    return F.pad(x_BCHW[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4), "constant", 0)


def test_pad_is_option_a() -> None:
    data = {"layers": [{**SAME, "channels": 8, "stride": 2}], "shortcut": "pad"}
    block = residual(data)
    assert not list(block.shortcut.parameters())
    assert torch.equal(block.shortcut(image()), option_a(image(), 8))
    wrong = F.pad(image()[:, :, 1::2, ::2], (0, 0, 0, 0, 2, 2))
    assert block.shortcut(image()).shape != wrong.shape


def test_pad_of_sequences_and_vectors() -> None:
    x_BTD = torch.randn(2, 9, 4)
    padded = Pad((2,), 3, of_image=False)(x_BTD)
    assert torch.equal(padded, F.pad(x_BTD[:, ::2], (1, 2)))
    assert torch.equal(Pad((), 2, of_image=False)(x_BTD[:, 0]), F.pad(x_BTD[:, 0], (1, 1)))


def test_drop_path_leaves_the_shortcut() -> None:
    block = residual({"layers": [SAME], "drop_path": 0.5})
    assert isinstance(block.drop_path, DropPath)
    torch.manual_seed(0)
    x = image().repeat(50, 1, 1, 1)
    y = block.train()(x)
    skipped = (y == x).flatten(1).all(1)
    assert 20 < int(skipped.sum()) < 80
    right = x + 2 * block.layers(x)
    torch.testing.assert_close(y[~skipped], right[~skipped])
    torch.testing.assert_close(block.eval()(x), x + block.layers(x))


@pytest.mark.parametrize(
    ("data", "reads", "message"),
    [
        (
            {"layers": [{"kind": "conv", "channels": 4, "kernel": 3}]},
            IMAGE,
            "residual cannot bring its input, an image (4, 9, 8), to the shape that its layers "
            "give, an image (4, 7, 6); keep the size (padding: same), or divide it by a stride",
        ),
        (
            {"layers": [{"kind": "flatten"}]},
            IMAGE,
            "residual cannot bring its input, an image (4, 9, 8), to the shape that its layers "
            "give, a vector (288); keep the size (padding: same), or divide it by a stride",
        ),
        (
            {"layers": [{**SAME, "channels": 6}], "shortcut": "identity"},
            IMAGE,
            "residual adds its input, an image (4, 9, 8), to what its layers give, an image "
            "(6, 9, 8); make the shapes equal, or use shortcut: projection",
        ),
        (
            {"layers": [{**SAME, "channels": 3}], "shortcut": "pad"},
            IMAGE,
            "residual cannot pad its input, an image (4, 9, 8), to the fewer features that its "
            "layers give, an image (3, 9, 8); use shortcut: projection",
        ),
        (
            {"layers": [{"kind": "upsample", "factor": 2}]},
            SEQUENCE,
            "residual cannot bring its input, a sequence (9, 4), to the shape that its layers "
            "give, a sequence (18, 4); keep the size (padding: same), or divide it by a stride",
        ),
    ],
)
def test_messages(data: dict[str, Any], reads: Signal, message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        residual(data, reads)
    assert str(caught.value) == f"model.layers[0]: {message}"


def test_the_place_of_an_inner_error() -> None:
    layers = [SAME, {"kind": "dense", "width": 3}]
    with pytest.raises(ShapeError) as caught:
        residual({"layers": [SAME, {"kind": "residual", "layers": layers}]})
    assert str(caught.value) == (
        "model.layers[0].layers[1].layers[1]: dense reads a vector, but gets an image (4, 9, 8) "
        "from conv; add {kind: flatten} before it"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"layers": []}, "layers: got no layers; wanted at least one, or no residual"),
        (
            {"layers": [SAME], "shortcut": "pad", "projection_norm": "batch"},
            "projection_norm belongs to shortcut: projection, not to pad; leave it out",
        ),
        ({"layers": [{"kind": "cnv"}]}, 'layers[0]: unknown kind "cnv"; did you mean "conv"?'),
        ({"layers": [{**SAME, "strides": 2}]}, 'unknown setting "strides"; did you mean "stride"?'),
    ],
)
def test_bad_settings(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(ResidualSpec, data)
    assert message in str(caught.value)
