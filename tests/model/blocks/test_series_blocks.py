"""Blocks for series, each against what it is by definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks import Block
from luthier.model.blocks.decompose import moving_average
from luthier.model.blocks.reversible_norm import ReversibleNorm
from luthier.model.blueprint import LayersSpec
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse

TIME, WIDTH = 9, 3


def chain(*blocks: dict[str, Any]) -> Chain:
    specs = tuple(TypeAdapter(Block).validate_python(block) for block in blocks)
    built = Chain(specs, Signal("sequence", (TIME, WIDTH)), "model.layers")
    materialize(built, seed=4, spec=InitializeSpec(), dtype=torch.float64)
    return built.eval()


def rows() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, TIME, WIDTH, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_a_moving_average_by_hand(window: int) -> None:
    x, before = rows(), (window - 1) // 2
    got = moving_average(x, window)
    for place in range(TIME):
        places = [min(max(place - before + n, 0), TIME - 1) for n in range(window)]
        torch.testing.assert_close(got[:, place], x[:, places].mean(1))


def test_parts_that_are_passed_on_add_up_to_the_input() -> None:
    x = rows()
    torch.testing.assert_close(chain({"kind": "decompose", "window": 4})(x), x)


def test_time_dense_by_hand() -> None:
    block = chain({"kind": "time_dense", "steps": 4})
    linear = block[0].linear
    x = rows()
    wanted = torch.einsum("ht,btd->bhd", linear.weight, x) + linear.bias[:, None]
    torch.testing.assert_close(block(x), wanted)


def test_quantiles_of_a_step_stand_side_by_side() -> None:
    """Positions are steps, and for each of them its values; those of a feature stay together."""
    block = chain({"kind": "steps", "count": 3})
    x = rows()
    y = block(x).unflatten(-1, (WIDTH, 3))
    for step in range(3):
        for value in range(3):
            torch.testing.assert_close(y[:, step, :, value], x[:, 3 * step + value])
    flat = chain({"kind": "flatten"}, {"kind": "steps", "count": TIME})
    torch.testing.assert_close(flat(x), x)


def test_a_reversible_norm_undoes_itself() -> None:
    block = chain({"kind": "reversible_norm", "layers": [{"kind": "dropout", "rate": 0.5}]})
    affine = next(module for module in block.modules() if isinstance(module, ReversibleNorm)).affine
    assert affine is not None
    with torch.no_grad():
        affine.weight.copy_(torch.tensor([2.0, -0.5, 1e-3]))
        affine.bias.copy_(torch.tensor([1.0, -3.0, 0.2]))
    x = rows() * torch.tensor([1.0, 50.0, 1e-2]) + 7.0
    torch.testing.assert_close(block(x), x, rtol=1e-4, atol=1e-8)


def test_what_is_inside_of_a_reversible_norm_has_no_level_and_no_spread() -> None:
    seen: list[Tensor] = []
    layers = [{"kind": "dense", "width": WIDTH}]
    block = chain({"kind": "reversible_norm", "learned": False, "layers": layers})
    block[0].layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = rows() * 30 + 500
    block(x)
    torch.testing.assert_close(seen[0].mean(1), torch.zeros(2, WIDTH, dtype=torch.float64))
    spread = seen[0].std(1, correction=0)
    torch.testing.assert_close(spread, torch.ones_like(spread), rtol=0, atol=1e-6)


def test_patches_by_hand_and_the_newest_has_its_own() -> None:
    block = chain({"kind": "patches", "size": 4, "stride": 2, "width": 5, "position": "none"})
    x, linear = rows(), block[0].linear
    y = block(x)
    longer = torch.cat([x, x[:, -1:], x[:, -1:]], 1)
    starts = range(0, TIME + 2 - 4 + 1, 2)
    assert y.shape[1] == len(starts)
    for number, start in enumerate(starts):
        patch = longer[:, start : start + 4].transpose(1, 2).flatten(1)
        torch.testing.assert_close(y[:, number], linear(patch))
    dropped = {"kind": "patches", "size": 4, "stride": 3, "width": 5, "last": "drop"}
    assert chain(dropped).gives.shape == (2, 5)


def test_each_channel_is_one_network_for_all() -> None:
    layers = [{"kind": "flatten"}, {"kind": "dense", "width": 4, "activation": "tanh"}]
    block = chain({"kind": "each_channel", "layers": layers})
    x = rows()
    y = block(x)
    inner = block[0].layers
    for column in range(WIDTH):
        torch.testing.assert_close(y[:, :, column], inner(x[:, :, column : column + 1]))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"kind": "reversible_norm", "layers": [{"kind": "dense", "width": 5}]},
            r"layers give a sequence \(9, 5\); wanted a sequence with 3 features",
        ),
        (
            {"kind": "reversible_norm", "layers": [{"kind": "flatten"}]},
            r"layers give a vector \(27\); wanted a sequence with 3 features",
        ),
        (
            {"kind": "decompose", "trend": [{"kind": "time_dense", "steps": 2}]},
            r"trend gives a sequence \(2, 3\), season gives a sequence \(9, 3\)",
        ),
        ({"kind": "patches", "size": 10, "width": 2}, "wanted a size of at most 9"),
        ({"kind": "steps", "count": 4}, "in 4 steps; wanted a multiple of 4, such as 8"),
        (
            {"kind": "each_channel", "layers": [{"kind": "dense", "width": 0}]},
            "got 0, wanted at least 1",
        ),
    ],
)
def test_messages(block: dict[str, Any], message: str) -> None:
    with pytest.raises((ShapeError, SpecError), match=message):
        _built(block)


def _built(block: dict[str, Any]) -> Chain:
    parsed = parse(LayersSpec, {"layers": [block]})
    return Chain(parsed.layers, Signal("sequence", (TIME, WIDTH)), "model.layers")
