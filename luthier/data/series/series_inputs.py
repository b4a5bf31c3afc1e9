"""Tables that somebody gives to a finished network: each series is forecast behind its last row.

Dimension key, for the whole file:
    B  series      L  steps that are read      C  columns that are read      T  targets
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from luthier.data.faults import Faults
from luthier.data.series.columns_read import ColumnsRead, filled
from luthier.data.series.scaling import Scaling
from luthier.data.series.series import SeriesSpec
from luthier.data.series.series_table import OneSeries, SeriesTable, read_series, without_future
from luthier.data.series.series_windows import AT_ONCE, SeriesSamples
from luthier.errors import DataError, nearest
from luthier.spec import Many, Spec, parse, plain

NOT_OF_INPUTS = {"split", "limit", "path", "kind"}


class SeriesForm(Spec):
    """How a table becomes what a network reads: what a finished model keeps."""

    kind: Literal["series"] = "series"
    data: dict[str, Any]
    """The data section of the recipe, with all that was left to luthier."""
    horizon: int
    names: Many[str]
    """The series; one without a name where there is only one."""
    mean: Many[Many[float]]
    """Of each series and column."""
    std: Many[Many[float]]
    naive: Many[Many[float]]
    """The naive error on the training rows, of each series and target."""

    @classmethod
    def of(
        cls,
        spec: SeriesSpec,
        table: SeriesTable,
        scaling: Scaling,
        names: Sequence[str],
        horizon: int,
    ) -> SeriesForm:
        """What is kept of a data section without `auto`, and of what was measured."""
        data = plain(spec.model_copy(update={"targets": table.columns.targets}))
        data |= {"targets": list(table.columns.targets), "time": table.columns.time}
        if table.columns.time is not None and spec.frequency == "auto":
            data.pop("frequency", None)
        return cls(
            data={key: value for key, value in data.items() if key not in NOT_OF_INPUTS},
            horizon=horizon,
            names=tuple(names),
            mean=_listed(scaling.mean_SC),
            std=_listed(scaling.std_SC),
            naive=_listed(scaling.naive_ST),
        )

    @property
    def scaling(self) -> Scaling:
        """As it was measured."""
        return Scaling(
            mean_SC=np.array(self.mean), std_SC=np.array(self.std), naive_ST=np.array(self.naive)
        )


def _listed(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


@dataclass(frozen=True, kw_only=True)
class Recent:
    """The last steps of a series."""

    name: str
    read_LC: np.ndarray
    series: int
    """Its number in training, which says its scale."""
    times: tuple[str, ...]
    """Of the steps that are forecast."""


class SeriesInputs:
    """Makes samples of tables.

    Args:
        form: As the training data was read.
    """

    def __init__(self, form: SeriesForm) -> None:
        self.form = form
        self._scaling = form.scaling

    @classmethod
    def from_files(cls, about: Mapping[str, Any]) -> SeriesInputs:
        """What `files` gave, read back."""
        return cls(parse(SeriesForm, about))

    def files(self) -> Mapping[str, bytes]:
        """`preprocessing.json`."""
        text = json.dumps(self.form.model_dump(mode="json"), indent=1) + "\n"
        return {"preprocessing.json": text.encode()}

    def listed(self, given: Sequence[Any]) -> list[Recent]:
        """Every series of every table."""
        return [recent for item in given for recent in self._of_table(item)]

    def named(self, item: Recent, index: int) -> str:
        """The file, and the series where there are several."""
        return item.name

    @property
    def at_once(self) -> int:
        """Series that go through a network together."""
        return AT_ONCE

    def samples(self, items: Sequence[Recent], start: int) -> SeriesSamples:
        """The last steps of each, `(B, L, C)`, with nothing known of what follows."""
        targets = len(self.form.naive[0])
        numbers = [item.series for item in items]
        read = np.stack([item.read_LC for item in items]).astype(np.float32)
        shape = (len(items), self.form.horizon, targets)
        return SeriesSamples(
            inputs=torch.from_numpy(read),
            targets=torch.zeros(shape),
            present=torch.zeros(shape, dtype=torch.bool),
            mean=torch.from_numpy(self._scaling.mean_SC[numbers, :targets]),
            std=torch.from_numpy(self._scaling.std_SC[numbers, :targets]),
            naive=torch.from_numpy(self._scaling.naive_ST[numbers]),
            ids=torch.arange(start, start + len(items)),
            times=tuple(item.times for item in items),
        )

    def _of_table(self, given: Any) -> list[Recent]:
        if not isinstance(given, str | Path):
            raise DataError(f"got {type(given).__name__}; wanted the file of a table")
        spec = parse(SeriesSpec, {"kind": "series", "path": str(given), **self.form.data})
        faults = Faults(spec.on_error, str(given), one="row")
        table = read_series(spec, faults)
        return [self._recent(spec, table, one) for one in table.series]

    def _recent(self, spec: SeriesSpec, table: SeriesTable, one: OneSeries) -> Recent:
        name = f"{spec.path}: {one.name}" if one.name else spec.path
        known, horizon, lookback = self.form.names, self.form.horizon, spec.lookback
        assert isinstance(lookback, int)
        if one.name not in known:
            raise DataError(
                f'{name}: no series "{one.name}" was trained on, so that its scale is not known'
                f"{nearest(one.name, known)}"
            )
        one, future = without_future(one, len(table.columns.targets))
        if one.steps < lookback:
            raise DataError(
                f"{name}: has {one.steps:,} steps; the network reads the last {lookback:,}"
            )
        if spec.known and len(future) < horizon:
            raise DataError(
                f"{name}: has {len(future):,} rows behind the last one with a target; wanted "
                f"{horizon:,} with {', '.join(spec.known)}, which the forecast needs beforehand"
            )
        number = known.index(one.name)
        read = ColumnsRead.of(spec, table, horizon).inputs(one, future, self._scaling, number)
        if spec.missing != "fill" and np.isnan(read[-lookback:]).any():
            count = int(np.isnan(read[-lookback:]).sum())
            raise DataError(
                f"{name}: {count:,} of the values that the network reads are missing; fill them in"
            )
        absent = int(np.isnan(one.values[-lookback:]).all(1).sum())
        if 2 * absent > lookback:
            raise DataError(
                f"{name}: {absent:,} of the {lookback:,} steps that the network reads have no "
                f"values; wanted rows in steps of {table.step}, as it was trained on"
            )
        times = table.step.after(int(one.times[-1]), horizon)
        written = (table.written(int(time)) for time in times)
        if table.step.unit == "rows" and not table.numbered:
            # Who takes each row as a step does not know when the next ones come.
            written = (f"+{ahead}" for ahead in range(1, horizon + 1))
        return Recent(
            name=name,
            read_LC=filled(read)[-lookback:],
            series=number,
            times=tuple(written),
        )
