"""The task forecast: its losses, its parts, its metrics, what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from luthier.data.series.series_windows import SeriesSamples
from luthier.data.target import Series
from luthier.errors import ShapeError
from luthier.model.blueprint import LayersSpec, Network, build
from luthier.model.initialize import materialize
from luthier.signal import Signal
from luthier.spec import parse
from luthier.tasks.forecast import Forecast, ForecastSpec
from luthier.tasks.naive_forecasts import naive_forecasts
from luthier.tasks.task import Loss
from luthier.training.gradient import backward, finish, total

READ, HORIZON, NAMES, SEASON = 12, 4, ("a", "b"), 4
LOSSES: dict[str, dict[str, Any]] = {
    "mse": {},
    "mae": {"loss": "mae"},
    "huber": {"loss": "huber", "delta": 0.5},
    "quantile": {"loss": "quantile", "levels": [0.1, 0.5, 0.8]},
}
LINEAR = [{"kind": "time_dense", "steps": HORIZON}, {"kind": "dense", "width": 6}]


def samples(ids: list[int], *, holes: bool = True) -> SeriesSamples:
    """Windows of noise, each the same whatever others it comes with; some with missing values."""
    parts = [np.random.default_rng(100 + number) for number in ids]
    values = torch.tensor(np.stack([rng.normal(size=(READ + HORIZON, 2)) for rng in parts]))
    absent = np.stack([rng.uniform(size=(HORIZON, 2)) < 0.1 * (n % 8) for rng, n in zip(
        parts, ids, strict=True)])  # fmt: skip
    present = torch.from_numpy(~absent)
    rows = len(ids)
    targets = values[:, READ:]
    return SeriesSamples(
        inputs=values[:, :READ],
        targets=torch.where(present, targets, 0.0) if holes else targets,
        present=present if holes else None,
        mean=torch.tensor([[10.0, -3.0]]).double().expand(rows, -1),
        std=torch.tensor([[2.0, 0.5]]).double().expand(rows, -1),
        naive=torch.tensor([[1.6, 0.0]]).double().expand(rows, -1),
        ids=torch.tensor(ids),
    )


def task(name: str) -> Forecast:
    spec = ForecastSpec.model_validate({"horizon": HORIZON, **LOSSES[name]})
    return spec.build(Series(names=NAMES, season=SEASON))


def network(name: str, layers: list[dict[str, Any]] | None = None) -> Network:
    made, spec = task(name), parse(LayersSpec, {"layers": layers or LINEAR})
    reads = Signal("sequence", (READ, len(NAMES)))
    target = Series(names=NAMES, season=SEASON)
    built = build(spec, reads, lambda gives: made.spec.head(gives, target))
    materialize(built, seed=3, spec=spec.initialize, dtype=torch.float64)
    assert built.gives == made.spec.wants(reads, target)
    return built


IDS = list(range(8))
every_loss = pytest.mark.parametrize("name", LOSSES)


def learned(name: str, parts: int, *, mean_of_means: bool = False) -> tuple[Loss, Tensor]:
    own, net = task(name), network(name)
    losses = []
    for ids in np.split(np.array(IDS), parts):
        loss = own.loss(net, own.collate(samples(ids.tolist())))
        if mean_of_means:
            loss = Loss(loss.sum / loss.count / parts, torch.ones_like(loss.count) / parts)
        losses.append(backward(loss, parts))
    whole = total(losses)
    parameters = list(net.parameters())
    finish(parameters, whole, parts, clip_norm=None, measure=False)
    return whole, torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


@every_loss
@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_equal_the_whole(name: str, parts: int) -> None:
    """Windows have unequal numbers of values, since some are missing."""
    (whole, wanted), (loss, got) = learned(name, 1), learned(name, parts)
    assert float((wanted - got).abs().max()) < 1e-13
    assert loss.count.item() == whole.count.item() < 8 * HORIZON * 2
    twin = learned(name, parts, mean_of_means=True)[1]
    assert float((wanted - twin).abs().max()) > 1e-4


@every_loss
def test_the_loss_against_its_formula(name: str) -> None:
    own, net = task(name), network(name)
    given = samples(IDS)
    batch = own.collate(given)
    y = net(batch.inputs).detach().numpy().reshape(8, HORIZON, 2, own.spec.outputs)
    truth = given.targets.numpy()
    summed, count = 0.0, 0
    assert given.present is not None
    for place in np.argwhere(given.present.numpy()):
        said, true = y[tuple(place)], truth[tuple(place)]
        error = true - said[0]
        if name == "mse":
            summed += error**2
        elif name == "mae":
            summed += abs(error)
        elif name == "huber":
            small = abs(error) <= 0.5
            summed += 0.5 * error**2 if small else 0.5 * (abs(error) - 0.25)
        else:
            each = [
                level * (true - q) if true > q else (1 - level) * (q - true)
                for q, level in zip(said, (0.1, 0.5, 0.8), strict=True)
            ]
            summed += sum(each) / 3
        count += 1
    loss = own.loss(net, batch)
    assert loss.sum.item() == pytest.approx(summed, rel=1e-12)
    assert loss.count.item() == count


def test_what_is_missing_counts_for_nothing() -> None:
    own, net = task("mse"), network("mse")
    batch = own.collate(samples(IDS))
    assert batch.present is not None
    other = own.collate(samples(IDS))
    other.targets[~other.present] = 1e9  # type: ignore[index]
    assert torch.equal(own.loss(net, batch).sum, own.loss(net, other).sum)


class Says(nn.Module):
    """Says the same of each window."""

    def __init__(self, said: Tensor) -> None:
        super().__init__()
        self.said = said

    def forward(self, x: Tensor) -> Tensor:
        """`(B, H, E)`."""
        return self.said.expand(len(x), -1, -1)


def test_metrics_against_a_reference() -> None:
    own, given = task("mse"), samples(IDS, holes=False)
    said = torch.arange(HORIZON * 2).view(HORIZON, 2).double() / 4
    found = own.metrics(own.judge(Says(said), own.collate(given)))
    read, truth = given.inputs.numpy(), given.targets.numpy()
    error = truth - said.numpy()
    assert found["mse"].value == pytest.approx((error**2).mean())
    assert found["mae"].value == pytest.approx(np.abs(error).mean())
    # Of the second column no naive error is known, so that MASE is of the first alone.
    assert found["mase"].value == pytest.approx(np.abs(error[..., 0]).mean() * 2.0 / 1.6)
    last = truth - read[:, -1:]
    assert found["repeat_last_mse"].value == pytest.approx((last**2).mean())
    season = truth - read[:, [READ - SEASON + h % SEASON for h in range(HORIZON)]]
    assert found["seasonal_naive_mae"].value == pytest.approx(np.abs(season).mean())
    assert found["seasonal_naive_mase"].value == pytest.approx(
        np.abs(season[..., 0]).mean() * 2.0 / 1.6
    )


def test_quantiles_against_a_reference() -> None:
    own, given = task("quantile"), samples(IDS, holes=False)
    crossing = torch.tensor([1.0, -0.5, 0.2, 0.3, -1.0, 0.0]).double()
    columns = own.judge(Says(crossing.expand(HORIZON, -1)), own.collate(given))
    found = own.metrics(columns)
    assert next(iter(found)) == own.headline == "crps"
    truth = given.targets.numpy()[..., None]
    said = np.sort(crossing.numpy().reshape(2, 3), -1)
    levels = np.array([0.1, 0.5, 0.8])
    losses = np.where(truth > said, levels * (truth - said), (1 - levels) * (said - truth))
    assert found["crps"].value == pytest.approx(2 * losses.mean())
    inside = (said[:, 0] <= truth[..., 0]) & (truth[..., 0] <= said[:, 2])
    assert found["coverage"].value == pytest.approx(inside.mean())
    assert found["mae"].value == pytest.approx(np.abs(truth[..., 0] - said[:, 1]).mean())
    kept = columns["forecast"].reshape(8, HORIZON, 2, 3)
    np.testing.assert_allclose(kept[0, 0], said * [[2.0], [0.5]] + [[10.0], [-3.0]], rtol=1e-6)
    assert own.details(columns)["levels"] == [0.1, 0.5, 0.8]


def test_a_season_that_was_not_read_is_not_repeated() -> None:
    read = torch.zeros(1, 5, 1)
    assert naive_forecasts(read, 3, season=6).keys() == {"repeat_last"}
    assert naive_forecasts(read, 3, season=1).keys() == {"repeat_last"}
    assert naive_forecasts(read, 3, season=5).keys() == {"repeat_last", "seasonal_naive"}


@pytest.mark.parametrize("name", ["mse", "quantile"])
@pytest.mark.parametrize(
    "layers",
    [
        LINEAR,
        [{"kind": "flatten"}],
        [{"kind": "recurrent", "width": 5}],
        [{"kind": "recurrent", "width": 5, "gives": "last"}],
        [{"kind": "conv", "channels": 5, "kernel": 3, "dilation": 2, "padding": "causal"}],
        [{"kind": "dense", "width": 4}, {"kind": "attention", "heads": 2, "position": "rotary"}],
        [{"kind": "layer_norm"}, {"kind": "time_dense", "steps": HORIZON}],
    ],
)
def test_any_design_gets_a_head(name: str, layers: list[dict[str, Any]]) -> None:
    own, net = task(name), network(name, layers)
    batch = own.collate(samples(IDS))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    first = own.loss(net, batch)
    for _ in range(60):
        loss = own.loss(net, batch)
        optimizer.zero_grad()
        loss.sum.backward()
        optimizer.step()
    assert loss.sum.item() < 0.9 * first.sum.item()


def test_what_no_head_reads() -> None:
    with pytest.raises(ShapeError, match="forecast reads a sequence or a vector, got an image"):
        task("mse").spec.head(Signal.of((1, 2, 3)), Series(names=NAMES))


def test_what_is_said_of_a_series() -> None:
    own = task("quantile")
    given = samples([0])
    batch = own.collate(SeriesSamples(**{**vars(given), "times": (tuple("wxyz"),)}))
    (said,) = own.predict(network("quantile"), batch, top=1)
    assert said["time"] == ["w", "x", "y", "z"]
    assert said["forecast"]["a"] == said["quantiles"]["a"]["0.5"]
    assert list(said["quantiles"]["b"]) == ["0.1", "0.5", "0.8"]
    for low, high in zip(*(said["quantiles"]["a"][level] for level in ("0.1", "0.8")), strict=True):
        assert low <= high


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon": 0}, "greater than or equal to 1"),
        ({"levels": [0.5]}, "levels belongs to loss: quantile, not mse"),
        ({"loss": "mae", "delta": 2.0}, "delta belongs to loss: huber, not mae"),
        ({"loss": "quantile", "levels": [0.1, 0.9]}, "with 0.5 among them"),
        ({"loss": "quantile", "levels": [0.9, 0.5, 0.1]}, "wanted rising numbers"),
        ({"loss": "quantile", "levels": [0.0, 0.5]}, "greater than 0"),
    ],
)
def test_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ForecastSpec.model_validate({"horizon": HORIZON, **settings})


def test_the_usual_quantiles() -> None:
    spec = ForecastSpec(horizon=3, loss="quantile")
    assert spec.quantiles == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
