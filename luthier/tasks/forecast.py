"""Forecast: what comes next in a series.

Dimension key, for the whole file:
    B  batch      L  steps that are read      H  steps that are forecast
    C  columns that are read      T  targets      Q  values for each: one, or quantiles
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from luthier.data.purpose import Purpose
from luthier.data.series.series_windows import SeriesSamples
from luthier.data.target import Series, Target
from luthier.errors import ShapeError
from luthier.metrics.forecast import forecast_details, forecast_metrics, usual_levels
from luthier.metrics.interval import Metric
from luthier.model.block import BlockSpec
from luthier.model.blocks.dense import DenseSpec
from luthier.model.blocks.pool import GlobalPoolSpec
from luthier.model.blocks.steps import StepsSpec
from luthier.model.stream import Stream
from luthier.signal import Signal
from luthier.spec import Many, Spec
from luthier.tasks.forward import finished, forward, in_float32
from luthier.tasks.naive_forecasts import naive_forecasts
from luthier.tasks.task import Columns, Loss

SHOWN_TARGETS = 8
"""Of more, the forecasts of the others are not kept beside the metrics."""
Level = Annotated[float, Field(gt=0, lt=1)]


class ForecastSpec(Spec):
    """The next steps of a series, from those before them."""

    kind: Literal["forecast"] = "forecast"
    horizon: int = Field(ge=1, le=100_000)
    """Steps that are forecast."""
    loss: Literal["mse", "mae", "huber", "quantile"] = "mse"
    """What is made small, on the scale of the data: mse, the squared error, forecasts the mean; mae
    the median; huber is squared near 0 and absolute beyond; quantile forecasts how sure it is."""
    levels: Many[Level] | None = None
    """The quantiles of loss: quantile, in rising order, with 0.5 among them; 0.1, 0.2 … 0.9 where
    none are given."""
    delta: float = Field(default=1.0, gt=0)
    """Where huber goes from squared to absolute."""

    @model_validator(mode="after")
    def _all_is_used(self) -> Self:
        if self.levels is not None and self.loss != "quantile":
            raise ValueError(f"levels belongs to loss: quantile, not {self.loss}; leave it out")
        if "delta" in self.model_fields_set and self.loss != "huber":
            raise ValueError(f"delta belongs to loss: huber, not {self.loss}; leave it out")
        return self

    @field_validator("levels")
    @classmethod
    def _rising(cls, levels: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if levels is not None and (sorted(set(levels)) != list(levels) or 0.5 not in levels):
            raise ValueError(
                f"got {', '.join(map(str, levels)) or 'none'}; wanted rising numbers between 0 "
                "and 1 with 0.5 among them, such as [0.1, 0.5, 0.9]"
            )
        return levels

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles that are forecast; empty where a single value is."""
        return () if self.loss != "quantile" else self.levels or usual_levels()

    @property
    def outputs(self) -> int:
        """Values for each target and step."""
        return max(1, len(self.quantiles))

    def purpose(self) -> Purpose:
        """What it wants of the data."""
        return Purpose(learns="forecast", horizon=self.horizon)

    def head(self, signal: Signal, target: Target) -> tuple[BlockSpec, ...]:
        """The blocks that turn `signal`, the last layer's output, into a forecast.

        A sequence of as many steps as are forecast is read step by step; of any other the last
        position, which has seen all of it where the network reads forwards.

        Raises:
            ShapeError: If it is tokens or an image.
        """
        assert isinstance(target, Series)
        width = len(target.names) * self.outputs
        if signal == self.wants(signal, target):
            return ()
        match signal.form:
            case "sequence" if signal.shape[0] == self.horizon:
                return (DenseSpec(width=width),)
            case "sequence":
                pool = GlobalPoolSpec(reduce="last")
                return (pool, DenseSpec(width=self.horizon * width), StepsSpec(count=self.horizon))
            case "vector":
                return (DenseSpec(width=self.horizon * width), StepsSpec(count=self.horizon))
            case _:
                raise ShapeError(f"forecast reads a sequence or a vector, got {signal}")

    def wants(self, reads: Signal, target: Target) -> Signal:
        """What the loss reads of one sample: the values of a target side by side."""
        assert isinstance(target, Series)
        return Signal("sequence", (self.horizon, len(target.names) * self.outputs))

    def build(self, target: Target) -> Forecast:
        """The task."""
        assert isinstance(target, Series)
        return Forecast(self, target)


@dataclass(frozen=True, kw_only=True)
class ForecastBatch:
    """Windows, and what followed them."""

    inputs: Tensor
    """`(B, L, C)`; the targets are the first columns."""
    targets: Tensor
    """`(B, H, T)`."""
    present: Tensor | None
    """`(B, H, T)` bool: what of them was measured; none where all of it was."""
    count: Tensor
    """A scalar: the values that were."""
    samples: SeriesSamples
    """Where they come from; for people, so it stays on the CPU."""

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.inputs)

    def to(self, device: torch.device) -> ForecastBatch:
        """The same batch on `device`."""
        if self.inputs.device == device:
            return self
        present = self.present
        return replace(
            self,
            inputs=self.inputs.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
            present=None if present is None else present.to(device, non_blocking=True),
            count=self.count.to(device, non_blocking=True),
        )


class Forecast:
    """The error of each value that was measured, summed.

    Args:
        spec: The settings.
        target: The columns that are forecast.
    """

    higher_is_better = False

    def __init__(self, spec: ForecastSpec, target: Series) -> None:
        self.spec = spec
        self.names = target.names
        self.season = target.season

    @property
    def headline(self) -> str:
        """The metric of what is made small."""
        return {"mse": "mse", "quantile": "crps"}.get(self.spec.loss, "mae")

    def collate(self, samples: SeriesSamples) -> ForecastBatch:
        """Windows as a batch."""
        present = samples.present
        count = float(samples.targets.numel() if present is None else present.sum())
        return ForecastBatch(
            inputs=samples.inputs,
            targets=samples.targets,
            present=present,
            count=torch.tensor(count),
            samples=samples,
        )

    def loss(self, network: nn.Module, batch: ForecastBatch) -> Loss:
        """One forward pass and its loss."""
        stream = Stream()
        y_BHTQ = self._run(network, batch, stream)
        losses_BHT = self._losses(y_BHTQ, batch.targets.to(y_BHTQ.dtype))
        if batch.present is not None:
            losses_BHT = losses_BHT * batch.present
        count = batch.count.to(losses_BHT)
        share = self.spec.horizon * len(self.names) / batch.inputs.shape[1]
        return finished(losses_BHT.sum(), count, stream, share)

    def _run(self, network: nn.Module, batch: ForecastBatch, stream: Stream) -> Tensor:
        """`(B, H, T, Q)` in float32 at least."""
        y_BHE = in_float32(forward(network, batch.inputs, stream))
        return y_BHE.reshape(*y_BHE.shape[:2], len(self.names), self.spec.outputs)

    def _losses(self, y_BHTQ: Tensor, truth_BHT: Tensor) -> Tensor:
        spec = self.spec
        if spec.loss == "quantile":
            levels_Q = y_BHTQ.new_tensor(spec.quantiles)
            error_BHTQ = truth_BHT[..., None] - y_BHTQ
            return torch.maximum(levels_Q * error_BHTQ, (levels_Q - 1) * error_BHTQ).mean(-1)
        y_BHT = y_BHTQ[..., 0]
        match spec.loss:
            case "mse":
                return (y_BHT - truth_BHT).square()
            case "mae":
                return (y_BHT - truth_BHT).abs()
            case _:
                return F.huber_loss(y_BHT, truth_BHT, reduction="none", delta=spec.delta)

    def judge(self, network: nn.Module, batch: ForecastBatch) -> Columns:
        """What the network says of each window, and how well.

        `id`, `block`, `loss`, `targets`; the sums that `forecast_metrics` reads, of the network
        and of the naive forecasts; sums by target; and `forecast`, what was said in the units of
        the first targets, `(B, H * T * Q)`.
        """
        y_BHTQ = self._run(network, batch, Stream()).detach().cpu().double()
        samples = batch.samples
        truth_BHT = samples.targets.double()
        present_BHT = _present(samples)
        losses_BHT = self._losses(y_BHTQ, truth_BHT) * present_BHT
        said_BHTQ = y_BHTQ.sort(-1).values  # quantiles that cross are put in order
        middle = self.spec.quantiles.index(0.5) if self.spec.quantiles else 0
        measured = Errors(samples, present_BHT)
        targets_B = present_BHT.sum((1, 2))
        columns = {
            "targets": targets_B.long(),
            "block": samples.ids // (2 * self.spec.horizon),
            "loss": losses_BHT.sum((1, 2)) / targets_B.clamp(min=1),
            **measured.of("", said_BHTQ[..., middle]),
            **measured.by_target("", said_BHTQ[..., middle]),
        }
        if self.spec.quantiles:
            columns |= self._of_quantiles(said_BHTQ, truth_BHT, present_BHT)
        read_BLT = samples.inputs[..., : len(self.names)].double()
        naive = naive_forecasts(read_BLT, self.spec.horizon, self.season)
        for name, naive_BHT in naive.items():
            columns |= measured.of(f"{name}_", naive_BHT)
        columns |= measured.by_target("repeat_last_", naive["repeat_last"])
        shown = slice(SHOWN_TARGETS)
        values_BHTQ = _in_units(said_BHTQ, samples)[:, :, shown]
        columns["forecast"] = values_BHTQ.flatten(1).float()
        numbers = {name: values.numpy() for name, values in columns.items()}
        return {"id": samples.ids.numpy(), **numbers}

    def _of_quantiles(
        self, said_BHTQ: Tensor, truth_BHT: Tensor, present_BHT: Tensor
    ) -> dict[str, Tensor]:
        """`pinball`, the sum of the losses of the quantiles in order, and `inside`, how many
        values lie between the outermost two."""
        losses_BHT = self._losses(said_BHTQ, truth_BHT) * present_BHT
        within_BHT = (said_BHTQ[..., 0] <= truth_BHT) & (truth_BHT <= said_BHTQ[..., -1])
        return {
            "pinball": losses_BHT.sum((1, 2)),
            "inside": (within_BHT & present_BHT).sum((1, 2)).double(),
        }

    def metrics(self, columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
        """The errors, and those of forecasts that need no network."""
        return forecast_metrics(columns, self.headline)

    def details(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The errors of each target, and what the forecasts that are kept are of."""
        return {
            "targets": forecast_details(columns, self.names),
            "horizon": self.spec.horizon,
            "levels": list(self.spec.quantiles),
            "shown": list(self.names[:SHOWN_TARGETS]),
        }

    def predict(self, network: nn.Module, batch: ForecastBatch, top: int) -> list[dict[str, Any]]:
        """For each series `time`, a list of the times that follow, and `forecast`, the values of
        each target at these; of quantiles the middle ones, and all of them in `quantiles`."""
        y_BHTQ = self._run(network, batch, Stream()).detach().cpu().double().sort(-1).values
        values_BHTQ = _in_units(y_BHTQ, batch.samples)
        levels = self.spec.quantiles
        middle = levels.index(0.5) if levels else 0
        predictions: list[dict[str, Any]] = []
        for row, times in enumerate(batch.samples.times):
            of_target = values_BHTQ[row].permute(1, 2, 0).tolist()
            said = dict(zip(self.names, of_target, strict=True))
            found: dict[str, Any] = {
                "time": list(times),
                "forecast": {name: values[middle] for name, values in said.items()},
            }
            if levels:
                found["quantiles"] = {
                    name: dict(zip(map(str, levels), values, strict=True))
                    for name, values in said.items()
                }
            predictions.append(found)
        return predictions


class Errors:
    """Sums of errors over the values of a window that were measured.

    Args:
        samples: The truth, and its scale.
        present_BHT: What was measured.
    """

    def __init__(self, samples: SeriesSamples, present_BHT: Tensor) -> None:
        self._truth_BHT = samples.targets.double()
        self._present_BHT = present_BHT
        self._std_B1T = samples.std[:, None]
        naive_B1T = samples.naive[:, None]
        self._known_B1T = naive_B1T > 0
        self._naive_B1T = torch.where(self._known_B1T, naive_B1T, 1.0)
        self._one = samples.targets.shape[2] == 1

    def of(self, prefix: str, said_BHT: Tensor) -> dict[str, Tensor]:
        """`squared`, `absolute` and `mase`; of a lone target `in_units` too."""
        error_BHT = (said_BHT - self._truth_BHT) * self._present_BHT
        units_BHT = error_BHT.abs() * self._std_B1T
        found = {
            f"{prefix}squared": error_BHT.square().sum((1, 2)),
            f"{prefix}absolute": error_BHT.abs().sum((1, 2)),
            f"{prefix}mase": (units_BHT / self._naive_B1T * self._known_B1T).sum((1, 2)),
        }
        if not prefix:
            found["mase_targets"] = (self._present_BHT & self._known_B1T).sum((1, 2))
        if self._one:
            found[f"{prefix}in_units"] = units_BHT.sum((1, 2))
        return found

    def by_target(self, prefix: str, said_BHT: Tensor) -> dict[str, Tensor]:
        """The sums of each target, `(B, T)`."""
        error_BHT = (said_BHT - self._truth_BHT) * self._present_BHT
        found = {f"{prefix}in_units_of": (error_BHT.abs() * self._std_B1T).sum(1)}
        if not prefix:
            found["squared_of"] = error_BHT.square().sum(1)
            found["targets_of"] = self._present_BHT.sum(1)
        return found


def _present(samples: SeriesSamples) -> Tensor:
    if samples.present is None:
        return torch.ones_like(samples.targets, dtype=torch.bool)
    return samples.present


def _in_units(y_BHTQ: Tensor, samples: SeriesSamples) -> Tensor:
    """What was said, as it would stand in the table."""
    return y_BHTQ * samples.std[:, None, :, None] + samples.mean[:, None, :, None]
