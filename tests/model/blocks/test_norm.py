"""Norms against their formulas, in every form of a signal."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from luthier.errors import ShapeError
from luthier.model.block import BlockSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.norm import BatchNormSpec, GroupNormSpec, LayerNormSpec, RmsNormSpec
from luthier.model.chain import Chain
from luthier.model.initialize import InitializeSpec, materialize
from luthier.signal import Signal

SIGNALS = (Signal.of((6, 5, 4)), Signal.of((5, 6)), Signal.of((6,)))


def normalised(spec: BlockSpec, x: Tensor) -> Tensor:
    chain = Chain((spec,), Signal.of(tuple(x.shape[1:])), "model.layers")
    materialize(chain, seed=0, spec=InitializeSpec(), dtype=torch.float64)
    y: Tensor = chain(x)
    return y


def positions_last(x: Tensor) -> Tensor:
    """Any signal as `(batch, features, positions)`."""
    if x.ndim == 4:
        return x.flatten(2)
    return x.transpose(1, 2) if x.ndim == 3 else x[:, :, None]


def standardised(x: Tensor, dims: tuple[int, ...], epsilon: float) -> Tensor:
    centred = x - x.mean(dims, keepdim=True)
    return centred / (x.var(dims, keepdim=True, correction=0) + epsilon).sqrt()


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.form)
@pytest.mark.parametrize(
    ("spec", "dims"),
    [(BatchNormSpec(epsilon=0.01), (0, 2)), (LayerNormSpec(epsilon=0.01), (1,))],
)
def test_what_is_normalised(spec: BlockSpec, dims: tuple[int, ...], signal: Signal) -> None:
    x = torch.randn(3, *signal.shape, dtype=torch.float64)
    ours = positions_last(normalised(spec, x))
    torch.testing.assert_close(ours, standardised(positions_last(x), dims, 0.01))
    others = {(0, 2), (1,), (1, 2)} - {dims}
    for wrong in others:
        if signal.form == "vector" and set(wrong) - {2} == set(dims) - {2}:
            continue  # a vector has no positions: both are the same
        assert not torch.allclose(ours, standardised(positions_last(x), wrong, 0.01))


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.form)
def test_group_norm(signal: Signal) -> None:
    x = torch.randn(3, *signal.shape, dtype=torch.float64)
    ours = positions_last(normalised(GroupNormSpec(groups=2), x))
    grouped = positions_last(x).unflatten(1, (2, 3))
    torch.testing.assert_close(ours, standardised(grouped, (2, 3), 1e-5).flatten(1, 2))


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.form)
def test_rms_norm(signal: Signal) -> None:
    x = torch.randn(3, *signal.shape, dtype=torch.float64) + 2
    flat = positions_last(x)
    theirs = flat / (flat.square().mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(positions_last(normalised(RmsNormSpec(), x)), theirs)


def test_groups_that_do_not_divide() -> None:
    with pytest.raises(ShapeError) as caught:
        Chain((DenseSpec(width=30, norm="group"),), Signal.of((5,)), "model.layers")
    assert str(caught.value) == (
        "model.layers[0]: group_norm has 32 groups, which do not divide the 30 features of a "
        "vector (30); use the block {kind: group_norm, groups: 15}"
    )
    with pytest.raises(ShapeError, match=r"groups: 1\}"):
        GroupNormSpec(groups=4).build(Signal.of((7,)))
