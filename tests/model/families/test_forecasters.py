"""Families that forecast: what they give, what they see, and their parameters by formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from luthier.errors import SpecError
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.families.catalogue import families
from luthier.model.families.forecaster import ForecasterSpec
from luthier.model.initialize import materialize
from luthier.planner.count import count
from luthier.planner.drawing import draw
from luthier.signal import Signal
from luthier.spec import parse, plain
from luthier.yaml_source import read_yaml, write_yaml

FORECASTERS = {kind: cls for kind, cls in families().items() if cls.SHOWN == "forecast"}
LOOKBACK, COLUMNS, HORIZON = 40, 3, 12
SMALL: dict[str, dict[str, Any]] = {
    "dlinear": {},
    "nlinear": {},
    "patchtst": {"depth": 1, "width": 8, "heads": 2},
    "tcn": {"depth": 2, "width": 8},
}


def network(kind: str, outputs: int = 1, **changed: Any) -> Network:
    """With weights of float64, in evaluation mode."""
    family = FORECASTERS[kind].model_validate({"kind": kind, **SMALL[kind], **changed})
    if isinstance(family, ForecasterSpec):
        family = family.reaching(HORIZON, outputs)
    layers = family.design("forecast")
    built = build(layers, Signal("sequence", (LOOKBACK, COLUMNS)))
    materialize(built, seed=2, spec=layers.initialize, dtype=torch.float64)
    return built.eval()


def series(rows: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, LOOKBACK, COLUMNS, dtype=torch.float64, generator=generator)


def test_all_are_here() -> None:
    assert SMALL.keys() == FORECASTERS.keys()


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("kind", ["dlinear", "nlinear", "patchtst"])
def test_each_column_by_itself(kind: str, outputs: int) -> None:
    """A column's forecast, with all its quantiles side by side, hangs on that column alone."""
    built = network(kind, outputs)
    assert built.gives == Signal("sequence", (HORIZON, COLUMNS * outputs))
    x = series()
    before = built(x).unflatten(-1, (COLUMNS, outputs))
    x[:, :, 1] = x[:, :, 1].flip(1) * 3
    after = built(x).unflatten(-1, (COLUMNS, outputs))
    torch.testing.assert_close(before[:, :, [0, 2]], after[:, :, [0, 2]], rtol=0, atol=1e-12)
    assert float((before[:, :, 1] - after[:, :, 1]).detach().abs().min(0).values.max()) > 1e-3


@pytest.mark.parametrize("kind", ["nlinear", "patchtst"])
def test_a_level_that_moves_moves_the_forecast(kind: str) -> None:
    built, x = network(kind), series()
    torch.testing.assert_close(built(x + 100.0), built(x) + 100.0, rtol=0, atol=1e-6)
    twin = network("dlinear")
    assert float((twin(x + 100.0) - twin(x) - 100.0).detach().abs().max()) > 1.0


def test_parameters_by_formula() -> None:
    linear = LOOKBACK * HORIZON + HORIZON
    assert count(network("dlinear")).total.parameters == 2 * linear
    assert count(network("nlinear")).total.parameters == linear
    width, patches = 8, (LOOKBACK + 8 - 16) // 8 + 1
    layer = 4 * width**2 + 2 * 2 * width * width + 2 * 2 * width
    own = count(network("patchtst")).total.parameters
    stem = 16 * width + width + patches * width
    head = patches * width * HORIZON + HORIZON
    assert own == 2 * COLUMNS + stem + layer + 2 * width + head


def test_a_tcn_sees_as_far_back_as_it_says() -> None:
    built, reach = network("tcn", kernel=2), 1 + 2 * (2 - 1) * (2**2 - 1)
    x = series(1)
    y = built(x)
    assert y.shape == (1, 8)
    x[:, -reach] += 5.0
    assert not torch.allclose(built(x), y)
    x = series(1)
    x[:, -reach - 1] += 5.0
    torch.testing.assert_close(built(x), y, rtol=0, atol=0)


@pytest.mark.parametrize("kind", FORECASTERS)
def test_its_layers_are_a_blank_page_that_is_drawn(kind: str) -> None:
    built = network(kind)
    family = FORECASTERS[kind].model_validate({"kind": kind, **SMALL[kind]})
    layers = family.design("forecast")
    again = read_yaml(write_yaml(plain(layers), compact=True), "page").data
    assert parse(LayersSpec, again) == layers
    values = {d.place.removeprefix("model."): d.value for d in family.decide("forecast")}
    settled = type(family).model_validate({**plain(family), **values})
    assert settled.design("forecast") == layers
    assert settled.decide("forecast") == ()
    assert draw(built).startswith("<svg")
    rows = count(built).rows
    assert sum(row.parameters for row in rows if row.depth == 0) == sum(
        weight.numel() for weight in built.parameters()
    )


@pytest.mark.parametrize("kind", FORECASTERS)
def test_another_task_is_refused(kind: str) -> None:
    family = FORECASTERS[kind].model_validate({"kind": kind})
    with pytest.raises(SpecError, match=f"got {kind}, which forecasts series"):
        family.design("labels")


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_families_read_series_forwards(kind: str) -> None:
    family = families()[kind].model_validate({"kind": kind, "width": 4, "depth": 1})
    built = build(family.design("forecast"), Signal("sequence", (LOOKBACK, COLUMNS)))
    assert built.gives == Signal("vector", (4,))
