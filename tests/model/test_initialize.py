"""First weights: their spread, and that each has a generator of its own."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from luthier.errors import InputError, SpecError
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import InitializeSpec, Scheme, generator_for, materialize
from luthier.signal import Signal
from luthier.spec import parse

READS = Signal.of((8, 6, 6))
CONV = {"kind": "conv", "channels": 64, "kernel": 3, "padding": "same"}
LAYERS: list[dict[str, Any]] = [
    CONV,
    {"kind": "residual", "layers": [{**CONV, "norm": "batch", "activation": "prelu"}]},
    {"kind": "conv_transpose", "channels": 32, "kernel": 3},
    {"kind": "layer_norm"},
    {"kind": "rms_norm"},
    {"kind": "group_norm"},
    {"kind": "flatten"},
    {"kind": "dense", "width": 64},
]


def network(*layers: dict[str, Any]) -> Network:
    head = (DenseSpec(width=10),) if layers[-1]["kind"] == "dense" else ()
    return build(parse(LayersSpec, {"layers": list(layers)}), READS, head)


def state(
    *layers: dict[str, Any], seed: int = 0, scheme: Scheme = "torch", **rest: Any
) -> dict[str, Tensor]:
    built = network(*layers)
    materialize(built, seed=seed, spec=InitializeSpec(scheme=scheme), **rest)
    return built.state_dict()


def changed(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    return {
        name
        for name in one.keys() & other.keys()
        if one[name].shape != other[name].shape or not torch.equal(one[name], other[name])
    }


def drawn(tensors: dict[str, Tensor]) -> set[str]:
    """Names of what is drawn, and not constant."""
    return {name for name, tensor in tensors.items() if tensor.unique().numel() > 1}


@pytest.mark.parametrize("scheme", get_args(Scheme))
def test_every_tensor_is_filled(scheme: Scheme) -> None:
    tensors = state(*LAYERS, scheme=scheme)
    for name, tensor in tensors.items():
        assert tensor.device.type == "cpu"
        assert bool(torch.isfinite(tensor.float()).all()), name
    assert {name for name in drawn(tensors) if name.endswith("weight")} == {
        "layers.0.conv.weight",
        "layers.1.layers.0.conv.weight",
        "layers.2.conv.weight",
        "layers.7.linear.weight",
        "head.0.linear.weight",
    }


def test_constants() -> None:
    tensors = state(*LAYERS)
    norm = "layers.1.layers.0.norm"
    assert tensors[f"{norm}.running_var"].unique().tolist() == [1]
    assert tensors[f"{norm}.running_mean"].unique().tolist() == [0]
    assert tensors[f"{norm}.num_batches_tracked"].item() == 0
    assert tensors["layers.1.layers.0.activation.weight"].item() == 0.25
    for each in (norm, "layers.3", "layers.4", "layers.5"):
        assert tensors[f"{each}.weight"].unique().tolist() == [1]


def test_the_seed_decides() -> None:
    one, same, other = state(*LAYERS), state(*LAYERS), state(*LAYERS, seed=1)
    assert changed(one, same) == set()
    assert changed(one, other) == drawn(one)


def test_changing_a_layer_leaves_the_others() -> None:
    one = state(*LAYERS)
    other = state({**CONV, "channels": 32}, *LAYERS[1:])
    assert changed(one, other) == {
        "layers.0.conv.weight",
        "layers.0.conv.bias",
        "layers.1.layers.0.conv.weight",  # reads other channels now
    }


def test_a_generator_for_all_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = torch.Generator()
    monkeypatch.setattr(
        "luthier.model.initialize.generator_for", lambda seed, name: shared.manual_seed(seed)
        if name == "layers.0.conv.weight"
        else shared,
    )  # fmt: skip
    one = state(*LAYERS)
    other = state({**CONV, "channels": 32}, *LAYERS[1:])
    assert "head.0.linear.weight" in changed(one, other)


def test_the_state_of_torch_does_not_matter() -> None:
    torch.manual_seed(1)
    one = state(*LAYERS)
    before = torch.get_rng_state()
    torch.manual_seed(2)
    assert changed(one, state(*LAYERS)) == set()
    torch.manual_seed(1)
    assert torch.equal(before, torch.get_rng_state())


def test_the_names_decide_and_not_the_machine() -> None:
    """The draws are part of what a recipe means: a change of them must be meant."""
    assert generator_for(7, "layers.0.conv.weight").initial_seed() == 847902955353271277
    assert (
        generator_for(7, "layers.1.conv.weight").initial_seed()
        != generator_for(8, "layers.1.conv.weight").initial_seed()
    )


def test_another_dtype_is_the_same_rounded() -> None:
    single, double = state(*LAYERS), state(*LAYERS, dtype=torch.float64)
    half = state(*LAYERS, dtype=torch.bfloat16)
    for name, tensor in single.items():
        assert torch.equal(double[name].to(tensor.dtype), tensor)
        assert torch.equal(half[name], tensor.to(half[name].dtype))
        assert double[name].dtype == (torch.float64 if tensor.is_floating_point() else torch.int64)


FANS = {
    "layers.0.conv.weight": (8 * 9, 64 * 9),
    "layers.2.conv.weight": (64 * 9, 32 * 9),
    "layers.7.linear.weight": (32 * 8 * 8, 64),
}


@pytest.mark.parametrize("name", FANS)
@pytest.mark.parametrize(
    "scheme", [scheme for scheme in get_args(Scheme) if scheme not in ("torch", "orthogonal")]
)
def test_spreads(scheme: Scheme, name: str) -> None:
    fan_in, fan_out = FANS[name]
    variance = {
        "kaiming_uniform": 2 / fan_in,
        "kaiming_normal": 2 / fan_in,
        "glorot_uniform": 2 / (fan_in + fan_out),
        "glorot_normal": 2 / (fan_in + fan_out),
        "lecun_normal": 1 / fan_in,
        "normal": 0.02**2,
    }[scheme]
    weight = state(*LAYERS, scheme=scheme)[name]
    assert float(weight.var()) == pytest.approx(variance, rel=0.05)
    assert abs(float(weight.mean())) < 0.05 * math.sqrt(variance)
    furthest = float(weight.abs().max()) / math.sqrt(variance)
    assert (furthest <= math.sqrt(3) + 1e-3) == ("uniform" in scheme)


@pytest.mark.parametrize("name", ["layers.0.conv", "layers.7.linear"])
def test_the_scheme_of_torch(name: str) -> None:
    tensors, bound = state(*LAYERS), 1 / math.sqrt(FANS[f"{name}.weight"][0])
    for part in ("weight", "bias"):
        tensor = tensors[f"{name}.{part}"]
        assert 0.9 * bound < float(tensor.abs().max()) <= bound
    assert float(tensors[f"{name}.weight"].std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)


def test_orthogonal() -> None:
    weight = state(*LAYERS, scheme="orthogonal")["layers.0.conv.weight"].flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(64), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scheme", [s for s in get_args(Scheme) if s != "torch"])
def test_biases_begin_at_zero(scheme: Scheme) -> None:
    assert not state(*LAYERS, scheme=scheme)["layers.0.conv.bias"].any()


def test_the_last_norm_of_a_residual_may_begin_at_zero() -> None:
    built = network(LAYERS[0], LAYERS[1])
    materialize(built, seed=0, spec=InitializeSpec(zero_residuals=True))
    x = torch.randn(2, *READS.shape)
    conv = built.layers.get_submodule("0")
    torch.testing.assert_close(built(x), conv(x))
    materialize(built, seed=0, spec=InitializeSpec())
    assert not torch.allclose(built(x), conv(x))


def test_zero_residuals_without_any() -> None:
    with pytest.raises(InputError) as caught:
        materialize(network(CONV), seed=0, spec=InitializeSpec(zero_residuals=True))
    assert str(caught.value) == (
        "model.initialize.zero_residuals: got true, but there is neither a residual with a norm "
        "inside, nor an attention or MLP; leave it out"
    )


MLP = {"kind": "mlp", "width": 9, "bias": True}
STEPS: list[dict[str, Any]] = [
    {"kind": "attention", "heads": 2},
    {**MLP, "norm": "layer", "norm_place": "both"},
    {"kind": "moe", "experts": 2, "norm_place": "post"},
    {**MLP, "residual": False},
]


def steps(**settings: Any) -> tuple[Network, dict[str, Tensor]]:
    """A network of sublayers, and its tensors."""
    spec = parse(LayersSpec, {"layers": STEPS, "head": "none", "initialize": settings})
    built = build(spec, Signal.of((5, 4)))
    materialize(built, seed=0, spec=spec.initialize)
    return built, built.state_dict()


@pytest.mark.parametrize("scheme", get_args(Scheme))
def test_what_sublayers_add_may_begin_smaller(scheme: Scheme) -> None:
    """Three of the four have a residual; a norm behind a sublayer would undo what is before."""
    _, one = steps(scheme=scheme)
    _, other = steps(scheme=scheme, residual_depth=True)
    smaller = {
        "layers.0.inner.out.weight",
        "layers.1.norm_after.weight",
        "layers.2.inner.experts.0.down.weight",
        "layers.2.inner.experts.1.down.weight",
    }
    assert changed(one, other) == smaller
    for name in smaller:
        torch.testing.assert_close(other[name], one[name] * 3**-0.5)


def test_biases_of_what_is_added_begin_smaller_too() -> None:
    specs = {"layers": [MLP, MLP], "head": "none"}
    tensors = {}
    for small in (False, True):
        built = build(parse(LayersSpec, specs), Signal.of((4,)))
        materialize(built, seed=0, spec=InitializeSpec(residual_depth=small))
        tensors[small] = built.state_dict()["layers.1.inner.down.bias"]
    torch.testing.assert_close(tensors[True], tensors[False] * 2**-0.5)


def test_sublayers_may_begin_as_their_residual_alone() -> None:
    built, tensors = steps(zero_residuals=True)
    x = torch.randn(2, 5, 4)
    chain = built.layers
    assert isinstance(chain, nn.Sequential)
    torch.testing.assert_close(chain[0](x), x)
    torch.testing.assert_close(chain[1](x), x)
    normed = x / x.square().mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(chain[2](x), normed, rtol=1e-4, atol=1e-4)
    assert bool(tensors["layers.3.inner.down.weight"].any())


@pytest.mark.parametrize("layers", [[CONV], [{"kind": "layer_norm"}, {**MLP, "residual": False}]])
def test_residual_depth_without_any(layers: list[dict[str, Any]]) -> None:
    reads = READS if layers == [CONV] else Signal.of((4,))
    built = build(parse(LayersSpec, {"layers": layers, "head": "none"}), reads)
    with pytest.raises(InputError) as caught:
        materialize(built, seed=0, spec=InitializeSpec(residual_depth=True))
    assert str(caught.value) == (
        "model.initialize.residual_depth: got true, but there is no attention or MLP with a "
        "residual; leave it out"
    )


def test_smaller_and_zero_contradict() -> None:
    with pytest.raises(SpecError, match="residual_depth makes smaller what zero_residuals sets to"):
        parse(InitializeSpec, {"zero_residuals": True, "residual_depth": True})


class Strange(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, device="meta"))


def test_a_tensor_that_no_rule_knows() -> None:
    built = network(CONV)
    built.head.append(Strange())
    with pytest.raises(AssertionError, match=r"no rule gives head\.0\.scale .* a first value"):
        materialize(built, seed=0, spec=InitializeSpec())


def test_a_weighed_module_with_a_tensor_that_no_rule_knows() -> None:
    built = network(CONV)
    extended = nn.Linear(2, 2, device="meta")
    extended.register_buffer("mask", torch.ones(2, device="meta"))
    built.head.append(extended)
    with pytest.raises(AssertionError, match=r"no rule gives head\.0\.mask"):
        materialize(built, seed=0, spec=InitializeSpec())


def test_token_spread_is_that_of_the_tables_alone() -> None:
    layers = [{"kind": "tokens", "width": 64, "position": "learned"}, {"kind": "mlp", "width": 64}]

    def made(**settings: float) -> dict[str, torch.Tensor]:
        spec = LayersSpec.model_validate({"layers": layers, "head": "none", "initialize": settings})
        network = build(spec, Signal.tokens(50, vocab=400))
        materialize(network, seed=1, spec=spec.initialize)
        return network.state_dict()

    usual, wide = made(), made(token_spread=0.125)
    table = "layers.0.table.weight"
    assert float(wide[table].std()) == pytest.approx(0.125, rel=0.02)
    assert all(torch.equal(usual[name], wide[name]) for name in usual if name != table)
