"""Known networks, written as blank-page layers: their parameters and FLOPs are the published ones.

Source of the figures, unless said otherwise: the tables of weights in torchvision's
documentation (parameters, and GFLOPS, which there are multiply-adds).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from luthier.model.blocks.dense import DenseSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, materialize
from luthier.planner.count import count
from luthier.signal import Signal
from luthier.spec import parse

PHOTO = Signal.of((3, 224, 224))
DATA = Path(os.environ.get("LUTHIER_DATA", Path(__file__).parents[3] / "shared" / "data"))
CHECKPOINT = DATA / "checkpoints" / "resnet_cifar10" / "resnet20-12fca82f.th"


def conv(channels: int, kernel: int, **rest: Any) -> dict[str, Any]:
    return {"kind": "conv", "channels": channels, "kernel": kernel, "padding": "same", **rest}


def normed(channels: int, kernel: int, **rest: Any) -> dict[str, Any]:
    return conv(channels, kernel, norm="batch", **rest)


def stage(times: int, stride_at: str, stride: int, *layers: dict[str, Any]) -> dict[str, Any]:
    residual = {"kind": "residual", "layers": list(layers), "activation": "relu"}
    first = {f"layers.0.{stride_at}": stride} if stride > 1 else {}
    return {"kind": "repeat", "times": times, "first": first, "layers": [residual]}


def basic(times: int, channels: int, stride: int, kernel: int = 3) -> dict[str, Any]:
    layers = (normed(channels, kernel, activation="relu"), normed(channels, 3))
    return stage(times, "layers.0.stride", stride, *layers)


def bottleneck(times: int, channels: int, stride: int) -> dict[str, Any]:
    layers = (
        normed(channels, 1, activation="relu"),
        normed(channels, 3, activation="relu"),
        normed(4 * channels, 1),
    )
    return stage(times, "layers.1.stride", stride, *layers)


STEM = [
    normed(64, 7, stride=2, activation="relu"),
    {"kind": "max_pool", "size": 3, "stride": 2, "padding": 1},
]
POOL = {"kind": "global_pool"}
RESNET18 = [*STEM, basic(2, 64, 1), basic(2, 128, 2), basic(2, 256, 2), basic(2, 512, 2), POOL]
RESNET50 = [
    *STEM,
    bottleneck(3, 64, 1),
    bottleneck(4, 128, 2),
    bottleneck(6, 256, 2),
    bottleneck(3, 512, 2),
    POOL,
]
MAX_POOL = {"kind": "max_pool", "size": 2}
VGG16 = [
    *(
        block
        for times, channels in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
        for block in [*[conv(channels, 3, activation="relu")] * times, MAX_POOL]
    ),
    {"kind": "flatten"},
    *[
        {"kind": "dense", "width": 4096, "activation": "relu"},
        {"kind": "dropout", "rate": 0.5},
    ]
    * 2,
]
LENET5 = [
    conv(6, 5, activation="tanh"),
    {"kind": "average_pool", "size": 2},
    {"kind": "conv", "channels": 16, "kernel": 5, "activation": "tanh"},
    {"kind": "average_pool", "size": 2},
    {"kind": "flatten"},
    {"kind": "dense", "width": 120, "activation": "tanh"},
    {"kind": "dense", "width": 84, "activation": "tanh"},
]


def cifar_stage(channels: int, stride: int) -> dict[str, Any]:
    block = basic(3, channels, stride)
    block["layers"][0]["shortcut"] = "pad"
    return block


RESNET20 = [
    normed(16, 3, activation="relu"),
    cifar_stage(16, 1),
    cifar_stage(32, 2),
    cifar_stage(64, 2),
    POOL,
]


def network(layers: list[dict[str, Any]], reads: Signal, classes: int) -> Network:
    spec = parse(LayersSpec, {"layers": layers})
    return build(spec, reads, (DenseSpec(width=classes),))


def figures(layers: list[dict[str, Any]], reads: Signal, classes: int) -> tuple[int, float]:
    """Parameters, and billions of multiply-adds to two places."""
    total = count(network(layers, reads, classes)).total
    return total.parameters, round(total.flops / 2 / 1e9, 2)


@pytest.mark.parametrize(
    ("layers", "parameters", "giga_macs"),
    [
        pytest.param(RESNET18, 11_689_512, 1.81, id="ResNet-18"),
        pytest.param(RESNET50, 25_557_032, 4.09, id="ResNet-50"),
        pytest.param(VGG16, 138_357_544, 15.47, id="VGG-16"),
    ],
)
def test_imagenet(layers: list[dict[str, Any]], parameters: int, giga_macs: float) -> None:
    assert figures(layers, PHOTO, 1000) == (parameters, giga_macs)


def test_lenet_5() -> None:
    """LeCun et al. 1998, with the second convolution reading all maps, as it is built today."""
    total = count(network(LENET5, Signal.of((1, 28, 28)), 10)).total
    assert total.parameters == 61_706
    convs = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25
    assert total.flops == 2 * (convs + 400 * 120 + 120 * 84 + 84 * 10)


def test_resnet_20_of_cifar() -> None:
    """He et al. 2016, table 6: 0.27M; exactly, with shortcuts of option A, 269,722."""
    assert figures(RESNET20, Signal.of((3, 32, 32)), 10) == (269_722, 0.04)


@pytest.mark.parametrize(
    "twin",
    [
        pytest.param([*STEM, basic(2, 64, 2), *RESNET18[3:]], id="one stride too many"),
        pytest.param([*STEM, basic(2, 64, 1, kernel=5), *RESNET18[3:]], id="a larger kernel"),
        pytest.param([*STEM, basic(3, 64, 1), *RESNET18[3:]], id="one block too many"),
    ],
)
def test_a_network_that_is_not_resnet_18_is_caught(twin: list[dict[str, Any]]) -> None:
    assert figures(twin, PHOTO, 1000) != (11_689_512, 1.81)


# The published ResNet-20: names, shapes and function.


def their_name(ours: str) -> str:
    """The name in the published checkpoint of our `layers.2.copies.0.0.layers.1.norm.weight`."""
    match ours.split("."):
        case ["layers", "0", part, kind]:
            return f"module.{'conv1' if part == 'conv' else 'bn1'}.{kind}"
        case ["layers", stage_number, "copies", copy, "0", "layers", index, part, kind]:
            theirs = "conv" if part == "conv" else "bn"
            return f"module.layer{stage_number}.{copy}.{theirs}{int(index) + 1}.{kind}"
        case ["head", "0", "linear", kind]:
            return f"module.linear.{kind}"
    raise AssertionError(ours)


def published() -> dict[str, Tensor]:
    if not CHECKPOINT.exists():
        pytest.skip(f"no {CHECKPOINT}")
    state: dict[str, Tensor] = torch.load(CHECKPOINT, weights_only=True, map_location="cpu")[
        "state_dict"
    ]
    return state


@pytest.mark.real_data
def test_the_published_resnet_20_maps_onto_ours() -> None:
    theirs = published()
    ours = {
        their_name(name): tensor.shape
        for name, tensor in network(RESNET20, Signal.of((3, 32, 32)), 10).state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert ours == {name: tensor.shape for name, tensor in theirs.items()}


@pytest.mark.real_data
def test_the_published_resnet_20_computes_the_same_as_ours() -> None:
    theirs = {name: tensor.double() for name, tensor in published().items()}
    ours = network(RESNET20, Signal.of((3, 32, 32)), 10)
    materialize(ours, seed=0, spec=InitializeSpec(), dtype=torch.float64)
    names = [name for name in ours.state_dict() if not name.endswith("num_batches_tracked")]
    ours.load_state_dict({name: theirs[their_name(name)] for name in names}, strict=False)
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = ours.eval()(x)
    torch.testing.assert_close(y, resnet20(x, theirs, first_row=0), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(y, resnet20(x, theirs, first_row=1), rtol=1e-2)


def resnet20(x_BCHW: Tensor, weights: dict[str, Tensor], first_row: int) -> Tensor:
    """The published network by plain operations; with `first_row` 1, a broken twin of it."""

    def normed_conv(x: Tensor, conv_name: str, norm: str, stride: int = 1) -> Tensor:
        y = F.conv2d(x, weights[f"module.{conv_name}.weight"], None, stride, padding=1)
        parts = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (weights[f"module.{norm}.{part}"] for part in parts)
        return F.batch_norm(y, mean, var, weight, bias)

    x = normed_conv(x_BCHW, "conv1", "bn1").relu()
    for stage_number in (1, 2, 3):
        for block in range(3):
            name = f"layer{stage_number}.{block}"
            stride = 2 if stage_number > 1 and block == 0 else 1
            y = normed_conv(x, f"{name}.conv1", f"{name}.bn1", stride).relu()
            y = normed_conv(y, f"{name}.conv2", f"{name}.bn2")
            if stride > 1:
                extra = x.shape[1] // 2
                x = F.pad(x[:, :, first_row::2, ::2], (0, 0, 0, 0, extra, extra))
            x = (x + y).relu()
    return F.linear(x.mean((2, 3)), weights["module.linear.weight"], weights["module.linear.bias"])
