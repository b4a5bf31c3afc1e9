"""Parallel branches: how they are joined, and their errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks.parallel import Parallel, ParallelSpec
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal
from luthier.spec import parse

IMAGE = Signal.of((4, 8, 8))
CONV = {"kind": "conv", "channels": 6, "kernel": 3, "padding": "same"}


def parallel(data: dict[str, Any], reads: Signal = IMAGE) -> Parallel:
    chain = Chain((parse(ParallelSpec, data),), reads, "model.layers")
    materialize(chain, seed=0, spec=InitializeSpec(), dtype=torch.float64)
    block = chain[0]
    assert isinstance(block, Parallel)
    return block


@pytest.mark.parametrize("shape", [(4, 8, 8), (8, 4), (4,)])
def test_concat_and_add(shape: tuple[int, ...]) -> None:
    layer = CONV if len(shape) > 1 else {"kind": "dense", "width": 6}
    x = torch.randn(2, *shape, dtype=torch.float64)
    features = 1 if len(shape) == 3 else -1
    side_by_side = parallel({"branches": [[], [layer]]}, Signal.of(shape))
    outputs = [branch(x) for branch in side_by_side.branches]
    assert torch.equal(side_by_side(x), torch.cat(outputs, features))
    added = parallel({"branches": [[layer], [layer], [layer]], "join": "add"}, Signal.of(shape))
    first, second, third = (branch(x) for branch in added.branches)
    assert torch.equal(added(x), first + second + third)
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"join": "add", "branches": [[], [CONV]]},
            "parallel cannot add its branches: branches[0] gives an image (4, 8, 8), branches[1] "
            "gives an image (6, 8, 8); make the shapes equal, or use join: concat",
        ),
        (
            {"branches": [[], [{"kind": "max_pool", "size": 2}]]},
            "parallel cannot put its branches side by side: branches[0] gives an image (4, 8, 8), "
            "branches[1] gives an image (4, 4, 4); make all but the features equal",
        ),
        (
            {"branches": [[{"kind": "flatten"}], [CONV]]},
            "parallel cannot put its branches side by side: branches[0] gives a vector (256), "
            "branches[1] gives an image (6, 8, 8); make all but the features equal",
        ),
    ],
)
def test_messages(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError) as caught:
        parallel(data)
    assert str(caught.value) == f"model.layers[0]: {message}"


def test_the_place_of_an_inner_error() -> None:
    with pytest.raises(ShapeError) as caught:
        parallel({"branches": [[], [CONV, {"kind": "dense", "width": 3}]]})
    assert str(caught.value).startswith("model.layers[0].branches[1][1]: dense reads a vector")


def test_one_branch_is_none() -> None:
    with pytest.raises(SpecError, match="branches: got 1 of them; wanted 2 or more"):
        parse(ParallelSpec, {"branches": [[CONV]]})
