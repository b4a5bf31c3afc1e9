"""Chains: signals from block to block, and whose output an error speaks of."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.flatten import FlattenSpec
from luthier.model.blocks.pool import MaxPoolSpec
from luthier.model.chain import Chain
from luthier.signal import Signal

IMAGE = Signal.of((1, 8, 8))
CONV = ConvSpec(channels=2, kernel=3)


def test_each_block_is_built_for_what_the_one_before_gives() -> None:
    chain = Chain((CONV, MaxPoolSpec(size=2), FlattenSpec()), IMAGE, "model.layers")
    assert [(step.place, step.spec.kind) for step in chain.steps] == [
        ("model.layers[0]", "conv"),
        ("model.layers[1]", "max_pool"),
        ("model.layers[2]", "flatten"),
    ]
    reads = [step.reads for step in chain.steps]
    assert reads == [IMAGE, *(step.gives for step in chain.steps[:-1])]
    assert chain.gives == chain.steps[-1].gives == Signal.of((18,))
    assert len(list(chain)) == 3


def test_no_blocks_give_what_they_read() -> None:
    chain = Chain((), IMAGE, "model.layers")
    x = torch.randn(2, 1, 8, 8)
    assert chain.gives == IMAGE
    assert torch.equal(chain(x), x)


def test_an_error_names_what_the_signal_comes_from() -> None:
    def message(origin: str) -> str:
        with pytest.raises(ShapeError) as caught:
            Chain((DenseSpec(width=3),), IMAGE, "model.head", origin)
        return str(caught.value)

    wanted = "model.head[0]: dense reads a vector, but gets an image (1, 8, 8){}; add {{kind: fl"
    assert message("").startswith(wanted.format(""))
    assert message("conv").startswith(wanted.format(" from conv"))


class Kinked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[None, None]


class KinkedSpec(BlockSpec):
    kind: Literal["kinked"] = "kinked"

    def build(self, signal: Signal) -> nn.Module:
        return Kinked()


def test_a_block_that_gives_no_signal() -> None:
    with pytest.raises(ShapeError) as caught:
        Chain((CONV, KinkedSpec()), IMAGE, "model.layers")
    assert str(caught.value) == (
        "model.layers[1]: kinked gives a tensor (1, 1, 2, 2, 6, 6) for 2 rows of an image "
        "(2, 6, 6); wanted (2, …) with 1 to 3 more dimensions"
    )
