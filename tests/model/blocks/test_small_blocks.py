"""Activations, dense, flatten, dropout and upsample."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from luthier.errors import ShapeError, SpecError
from luthier.model.blocks.activation import ActivationSpec, Curve, activation
from luthier.model.blocks.dense import Dense, DenseSpec
from luthier.model.blocks.dropout import DropoutSpec, DropPathSpec
from luthier.model.blocks.flatten import Flatten, FlattenSpec
from luthier.model.blocks.upsample import UpsampleSpec
from luthier.model.chain import Chain
from luthier.signal import Signal
from luthier.spec import parse

IMAGE = Signal.of((4, 3, 5))
POINTS = torch.linspace(-8, 8, 65, dtype=torch.float64)
FORMULAS = {
    "relu": POINTS.clamp(min=0),
    "relu6": POINTS.clamp(0, 6),
    "leaky_relu": torch.where(POINTS > 0, POINTS, 0.01 * POINTS),
    "prelu": torch.where(POINTS > 0, POINTS, 0.25 * POINTS),
    "elu": torch.where(POINTS > 0, POINTS, POINTS.expm1()),
    "selu": 1.0507009873554805
    * torch.where(POINTS > 0, POINTS, 1.6732632423543772 * POINTS.expm1()),
    "gelu": POINTS * 0.5 * (1 + torch.erf(POINTS / 2**0.5)),
    "gelu_tanh": POINTS
    * 0.5
    * (1 + ((2 / torch.pi) ** 0.5 * (POINTS + 0.044715 * POINTS**3)).tanh()),
    "silu": POINTS / (1 + (-POINTS).exp()),
    "mish": POINTS * POINTS.exp().log1p().tanh(),
    "softplus": POINTS.exp().log1p(),
    "softsign": POINTS / (1 + POINTS.abs()),
    "tanh": POINTS.tanh(),
    "sigmoid": 1 / (1 + (-POINTS).exp()),
    "hard_tanh": POINTS.clamp(-1, 1),
    "hard_sigmoid": (POINTS / 6 + 0.5).clamp(0, 1),
    "hard_swish": POINTS * (POINTS / 6 + 0.5).clamp(0, 1),
}


@pytest.mark.parametrize("name", get_args(Curve))
def test_activations_are_their_formulas(name: Curve) -> None:
    ours = activation(name).double()(POINTS)
    torch.testing.assert_close(ours, FORMULAS[name], rtol=1e-9, atol=1e-12)


def test_each_activation_is_another() -> None:
    """So that the formulas can tell them apart."""
    distinct = {tuple(values.tolist()) for values in FORMULAS.values()}
    assert len(distinct) == len(FORMULAS)


def test_the_slope_is_for_leaky_relu() -> None:
    leaky = ActivationSpec(name="leaky_relu", slope=0.3).build(IMAGE)
    assert leaky(torch.tensor(-1.0)).item() == pytest.approx(-0.3)
    with pytest.raises(SpecError, match="slope belongs to leaky_relu, not to relu; leave it out"):
        parse(ActivationSpec, {"name": "relu", "slope": 0.3})


def test_softmax_is_none_of_them() -> None:
    with pytest.raises(SpecError, match='got "softmax"'):
        parse(ActivationSpec, {"name": "softmax"})


def test_dense() -> None:
    dense = DenseSpec(width=3, activation="relu").build(Signal.of((5,))).double()
    x = torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(dense(x), (x @ dense.linear.weight.T + dense.linear.bias).relu())
    assert [name for name, _ in dense.named_children()] == ["linear", "norm", "activation"]
    x_BTD = torch.randn(2, 7, 5, dtype=torch.float64)
    each = torch.stack([dense(x_BTD[:, t]) for t in range(7)], 1)
    torch.testing.assert_close(dense(x_BTD), each)


def test_dense_of_an_image() -> None:
    with pytest.raises(ShapeError) as caught:
        DenseSpec(width=3).build(IMAGE)
    assert str(caught.value) == (
        "dense reads a vector, but gets an image (4, 3, 5); add {kind: flatten} before it"
    )


def test_flatten_in_both_orders() -> None:
    flatten = FlattenSpec().build(IMAGE)
    x = torch.randn(2, 4, 3, 5)
    assert flatten.reads == IMAGE
    assert torch.equal(flatten(x), x.flatten(1))
    flatten.order = "channels_last"
    assert torch.equal(flatten(x), x.permute(0, 2, 3, 1).flatten(1))
    last = flatten(x.contiguous(memory_format=torch.channels_last))
    assert torch.equal(last, flatten(x))


def test_flatten_of_a_vector() -> None:
    with pytest.raises(ShapeError) as caught:
        Chain((FlattenSpec(), FlattenSpec()), IMAGE, "model.layers")
    assert str(caught.value) == (
        "model.layers[1]: flatten reads an image or a sequence, but gets a vector (60) from "
        "flatten; leave it out"
    )


@pytest.mark.parametrize("spec", [DropoutSpec(rate=0.25), DropPathSpec(rate=0.25)])
def test_dropout_keeps_the_mean(spec: DropoutSpec | DropPathSpec) -> None:
    drop = spec.build(Signal.of((8,)))
    torch.manual_seed(0)
    x = torch.ones(4000, 8, dtype=torch.float64)
    y = drop.train()(x)
    assert set(y.unique().tolist()) == {0, 1 / 0.75}
    assert float(y.mean()) == pytest.approx(1, abs=0.03)
    rows_are_whole = bool((y == y[:, :1]).all())
    assert rows_are_whole == isinstance(spec, DropPathSpec)
    assert torch.equal(drop.eval()(x), x)


def test_a_rate_of_zero_draws_nothing() -> None:
    state = torch.get_rng_state()
    x = torch.ones(3, 2)
    assert torch.equal(DropPathSpec(rate=0).build(Signal.of((2,))).train()(x), x)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("rate", [1.0, -0.1, "half"])
def test_a_rate_that_is_no_share(rate: object) -> None:
    with pytest.raises(SpecError, match="rate: got"):
        parse(DropoutSpec, {"rate": rate})


def test_upsample() -> None:
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)
    nearest = UpsampleSpec(factor=(2, 3)).build(IMAGE)(x)
    assert torch.equal(nearest, x.repeat_interleave(2, 2).repeat_interleave(3, 3))
    bilinear = UpsampleSpec(factor=2, mode="linear").build(IMAGE)(x)
    assert torch.equal(bilinear, F.interpolate(x, scale_factor=2, mode="bilinear"))
    x_BTD = x[:, 0]
    over_time = UpsampleSpec(factor=2).build(Signal.of((3, 5)))(x_BTD)
    assert torch.equal(over_time, x_BTD.repeat_interleave(2, 1))


def test_the_types_that_a_placement_looks_for() -> None:
    assert isinstance(DenseSpec(width=1).build(Signal.of((2,))), Dense)
    assert isinstance(FlattenSpec().build(IMAGE), Flatten)
    assert isinstance(activation("none"), nn.Identity)
