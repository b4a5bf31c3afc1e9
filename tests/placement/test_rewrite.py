"""The rewrites are exact: the same function, the same gradients, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from luthier.model.blocks.conv import ConvSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.flatten import FlattenSpec
from luthier.model.blocks.pool import MaxPoolSpec
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.placement.place import PlacementSpec, decide, place
from luthier.placement.placed import Placed
from luthier.placement.rewrite import flatten_in_memory_order, pool_first
from luthier.signal import Signal

LAYERS = (
    ConvSpec(channels=6, kernel=3, activation="relu"),
    MaxPoolSpec(size=2),
    ConvSpec(channels=4, kernel=3, norm="batch", activation="leaky_relu"),
    MaxPoolSpec(size=3, stride=2, padding=1),
    FlattenSpec(),
    DenseSpec(width=5, activation="tanh"),
)


def network(layers: tuple[object, ...] = LAYERS) -> Network:
    spec = LayersSpec(layers=layers)  # type: ignore[arg-type]
    made = build(spec, Signal("image", (3, 13, 11)), head=(DenseSpec(width=4),))
    materialize(made, seed=3, spec=spec.initialize)
    return made.double()


def gradients(placed: Placed, x: torch.Tensor) -> dict[str, torch.Tensor]:
    placed.network.zero_grad()
    placed.network(x).square().sum().backward()
    return {
        name: placed.to_canonical(name, parameter.grad)
        for name, parameter in placed.network.named_parameters()
        if parameter.grad is not None
    }


def same_function(rewrite: Callable[[Network], Placed]) -> float:
    """The largest difference in output and gradients that `rewrite` makes."""
    before = network()
    after = rewrite(copy.deepcopy(before))
    plain = Placed(network=before, device=torch.device("cpu"))
    x = torch.randn(7, 3, 13, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wanted, got = gradients(plain, x), gradients(after, x.to(memory_format=torch.channels_last))
    assert wanted.keys() == got.keys()
    gaps = [(wanted[name] - got[name]).abs().max().item() for name in wanted]
    gaps.append((plain.network(x) - after.network(x)).abs().max().item())
    return max(gaps)


def both(made: Network) -> Placed:
    assert pool_first(made) == 2
    columns = flatten_in_memory_order(made)
    assert list(columns) == ["layers.5.linear.weight"]
    return Placed(network=made, device=torch.device("cpu"), columns=columns)


def test_the_rewrites_change_nothing() -> None:
    assert same_function(both) < 1e-12


def test_a_forgotten_permutation_is_seen() -> None:
    def broken(made: Network) -> Placed:
        good = both(made)
        return Placed(network=good.network, device=good.device)

    assert same_function(broken) > 1e-3


def test_a_flatten_without_its_permutation_is_seen() -> None:
    def broken(made: Network) -> Placed:
        made.layers[4].order = "channels_last"  # type: ignore[index]
        return Placed(network=made, device=torch.device("cpu"))

    assert same_function(broken) > 1e-3


def test_an_activation_that_is_not_monotone_stays() -> None:
    made = network(
        (ConvSpec(channels=2, kernel=3, activation="gelu"), MaxPoolSpec(size=2), FlattenSpec())
    )
    assert pool_first(made) == 0


def test_weight_names_stay_and_canonical_values_survive() -> None:
    made = network()
    before = copy.deepcopy(made.state_dict())
    placed = both(made)
    after = {name: placed.to_canonical(name, value) for name, value in made.state_dict().items()}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for name, value in before.items():
        assert torch.equal(placed.to_canonical(name, placed.from_canonical(name, value)), value)


def test_place_computes_the_same() -> None:
    spec = PlacementSpec(device="cpu", precision="fp32")
    values = {decision.place.split(".")[1]: decision.value for decision in decide(spec)}
    resolved = spec.model_copy(update=values)
    assert same_function(lambda made: place(made, resolved)) < 1e-12


def test_decisions_have_reasons() -> None:
    decisions = decide(PlacementSpec())
    assert {decision.place for decision in decisions} == {
        "placement.device", "placement.precision", "placement.layout", "placement.threads",
    }  # fmt: skip
    assert all(decision.reason for decision in decisions)
    assert (
        decide(PlacementSpec(device="cpu", precision="fp32", layout="channels_first", threads=1))
        == ()
    )


def test_a_device_that_is_not_there() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    spec = PlacementSpec(device="cuda", precision="fp32", layout="channels_last", threads=1)
    with pytest.raises(Exception, match='got "cuda", but this machine has none'):
        place(nn.Linear(2, 2), spec)


def test_a_flatten_before_the_head_is_rewritten_too() -> None:
    made = network((ConvSpec(channels=4, kernel=3), FlattenSpec()))
    assert list(flatten_in_memory_order(made)) == ["head.0.linear.weight"]
