"""oneDNN's layout at a network's start: the same values and gradients, faster."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from luthier.model.block import BlockSpec
from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.flatten import FlattenSpec
from luthier.model.blocks.pool import GlobalPoolSpec, MaxPoolSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.placement.onednn import OpaqueConv2d, opaque_start
from luthier.placement.place import PlacementSpec, decide, place
from luthier.placement.rewrite import pool_first
from luthier.signal import Signal

SMALL = (ConvSpec(channels=32, kernel=3, activation="relu"), MaxPoolSpec(size=2), FlattenSpec())
MIXED = (
    ConvSpec(channels=8, kernel=3, padding="same", activation="relu"),
    ConvSpec(channels=16, kernel=3, padding="same", activation="relu"),
    MaxPoolSpec(size=2),
    ConvSpec(channels=16, kernel=3, dilation=2, groups=4, bias=False, activation="relu"),
    MaxPoolSpec(size=3, stride=2, padding=1),
    FlattenSpec(),
    DenseSpec(width=12, activation="relu"),
)
POOL_FIRST = (MaxPoolSpec(size=2), ConvSpec(channels=7, kernel=3, stride=2), MaxPoolSpec(size=2),
              FlattenSpec())  # fmt: skip

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN"
)


def network(layers: tuple[BlockSpec, ...], shape: tuple[int, ...]) -> Network:
    spec = LayersSpec(layers=layers)  # type: ignore[arg-type]
    made = build(spec, Signal("image", shape), head=(DenseSpec(width=10),))
    materialize(made, seed=3, spec=spec.initialize)
    return made


def learned(made: nn.Module, x: torch.Tensor, bf16: bool) -> list[torch.Tensor]:
    """The output and every gradient."""
    made.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = made(x)
    F.cross_entropy(y.float(), torch.arange(len(x)) % 10).backward()
    return [y.detach().float(), *(p.grad.clone() for p in made.parameters() if p.grad is not None)]


def gap(first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
    """The largest difference, relative to the largest value of each tensor."""
    pairs = zip(first, second, strict=True)
    return max(((a - b).abs().max() / a.abs().max()).item() for a, b in pairs)


@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize(
    ("layers", "shape"), [(SMALL, (1, 28, 28)), (MIXED, (3, 33, 29)), (POOL_FIRST, (1, 28, 28))]
)
def test_it_computes_the_same(
    layers: tuple[BlockSpec, ...], shape: tuple[int, ...], rows: int
) -> None:
    plain = network(layers, shape)
    pool_first(plain)
    opaque = copy.deepcopy(plain)
    assert opaque_start(opaque) > 1
    assert list(plain.state_dict()) == list(opaque.state_dict())
    x = torch.rand(rows, *shape, generator=torch.Generator().manual_seed(1))
    assert gap(learned(plain, x, False), learned(opaque, x, False)) < 1e-5
    if torch.cpu._is_avx512_bf16_supported():
        # bfloat16 keeps 8 bits; the two may add up in another order.
        assert gap(learned(plain, x, True), learned(opaque, x, True)) < 0.02
    with torch.inference_mode():
        assert gap([plain.eval()(x)], [opaque.eval()(x)]) < 1e-5


def test_a_forgotten_bias_is_seen() -> None:
    plain = network(SMALL, (1, 28, 28))
    pool_first(plain)
    opaque = copy.deepcopy(plain)
    opaque_start(opaque)
    conv = next(module for module in opaque.modules() if isinstance(module, OpaqueConv2d))
    assert conv.bias is not None
    conv.bias = nn.Parameter(torch.zeros_like(conv.bias))
    x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    assert gap(learned(plain, x, False), learned(opaque, x, False)) > 1e-3


@pytest.mark.parametrize(
    "layers",
    [
        (ConvSpec(channels=4, kernel=3, norm="batch"), MaxPoolSpec(size=2), FlattenSpec()),
        (ConvSpec(channels=4, kernel=3, activation="gelu"), MaxPoolSpec(size=2), FlattenSpec()),
        (ConvSpec(channels=4, kernel=3), MaxPoolSpec(size=2), GlobalPoolSpec()),
        (ConvSpec(channels=4, kernel=3), FlattenSpec()),
    ],
)
def test_what_onednn_has_not_stays(layers: tuple[BlockSpec, ...]) -> None:
    assert opaque_start(network(layers, (1, 12, 12))) == 0


def test_other_types_stay() -> None:
    assert opaque_start(network(SMALL, (1, 12, 12)).double()) == 0


def test_the_placement_takes_it() -> None:
    spec = PlacementSpec(device="cpu", precision="fp32")
    values = {decision.place.split(".")[1]: decision.value for decision in decide(spec)}
    placed = place(network(SMALL, (1, 12, 12)), spec.model_copy(update=values))
    assert any(isinstance(module, OpaqueConv2d) for module in placed.network.modules())
    assert not placed.columns
