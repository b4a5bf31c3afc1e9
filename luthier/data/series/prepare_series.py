"""From a table of series to windows that are ready to be read.

Dimension key, for the whole file:
    N  steps of a series      M  steps of all series      C  columns      T  targets
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from luthier.data.collection import SPLITS, Split
from luthier.data.faults import Faults
from luthier.data.prepared import Noun, Prepared
from luthier.data.purpose import Purpose
from luthier.data.series.columns_read import ColumnsRead, filled
from luthier.data.series.scaling import Scaling
from luthier.data.series.series import SeriesSpec
from luthier.data.series.series_inputs import SeriesForm, SeriesInputs
from luthier.data.series.series_table import (
    OneSeries,
    SeriesTable,
    read_series,
    without_future,
)
from luthier.data.series.series_windows import SeriesExamples, Steps, evenly
from luthier.data.series.time_division import Range, divided, window_starts, windows_without
from luthier.data.target import Series
from luthier.errors import DataError
from luthier.spec import Decision, plain

_OF_THE_FILE = {"columns", "delimiter", "on_error"}
"""Settings that say how a file is read, and not what is read."""
NOUN = Noun(one="window", many="windows", unit="windows")
HORIZONS, SEASONS = 3, 2
"""Of these, the larger is read where `lookback` is auto."""


@dataclass(frozen=True, kw_only=True)
class PreparedSeries(Prepared):
    """Windows that are ready to be trained on."""

    train: SeriesExamples
    validation: SeriesExamples | None
    test: SeriesExamples | None
    target: Series
    table: SeriesTable
    """As it was read."""
    parts: tuple[Mapping[Split, Range], ...]
    """The rows of each split, of each series."""
    missing: int
    """Values that are not there, of those that are read or forecast."""
    touched: int
    """Windows that were left out since they touch a missing value."""


def prepare_series(spec: SeriesSpec, purpose: Purpose) -> PreparedSeries:
    """Reads, checks, divides, scales and cuts into windows.

    Args:
        spec: The data section of a recipe.
        purpose: How far the task forecasts.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
    """
    faults = Faults(spec.on_error, spec.path, one="row")
    table = read_series(spec, faults)
    horizon, targets = purpose.horizon, len(table.columns.targets)
    decisions = [*table.decisions, *_lengths(spec, table, horizon)]
    spec = spec.model_copy(
        update={decision.place.removeprefix("data."): decision.value for decision in decisions}
    )
    assert isinstance(spec.lookback, int)
    assert isinstance(spec.season, int)
    read = ColumnsRead.of(spec, table, horizon)
    kept = _usable(spec, table, horizon, faults)
    if not kept:
        raise DataError(_too_short(spec, faults))
    missing = sum(int(np.isnan(one.values).sum()) for one, _, _ in kept)
    if missing and spec.missing == "stop":
        raise _has_missing(spec, table, [one for one, _, _ in kept])
    trained = [one.values[slice(*parts["train"])] for one, _, parts in kept]
    scaling = Scaling.of(trained, spec.season, targets, standard=spec.scale == "standard")
    steps = _steps(table, kept, scaling, read)
    starts, touched = _starts(spec, kept, steps, horizon)
    examples = _examples(spec, steps, starts, horizon)
    names, count = table.columns.targets, len(kept)
    recognised = f"series in {spec.path}: {table.rows:,} rows"
    recognised += f" in steps of {table.step}" if table.step.unit != "rows" else ""
    recognised += f", {count:,} series" if spec.series is not None else ""
    recognised += f", {len(names)} target{'s' if len(names) > 1 else ''}"
    form = SeriesForm.of(spec, table, scaling, steps.labels, horizon)
    return PreparedSeries(
        train=examples["train"],
        validation=examples.get("validation"),
        test=examples.get("test"),
        target=Series(names=names, season=spec.season),
        signal=examples["train"].signal,
        inputs=SeriesInputs(form),
        decisions=tuple(decisions),
        fingerprint=_fingerprint(steps, examples, form),
        recognised=recognised,
        skipped=tuple(faults.found),
        noun=NOUN,
        table=table,
        parts=tuple(parts for _, _, parts in kept),
        missing=missing,
        touched=touched,
    )


_Kept = tuple[OneSeries, np.ndarray, Mapping[Split, Range]]
"""A series, what is known of the steps behind it, and which rows are for what."""


def _lengths(spec: SeriesSpec, table: SeriesTable, horizon: int) -> list[Decision]:
    """The season and the steps that are read."""
    decisions, season = [], spec.season
    if season == "auto":
        season = table.step.season
        told = "no season" if season == 1 else "the usual season"
        reason = f"{told} of steps of {table.step}"
        decisions.append(Decision(place="data.season", value=season, reason=reason))
    if spec.lookback == "auto":
        longest = max(one.steps for one in table.series)
        value = max(1, min(max(HORIZONS * horizon, SEASONS * season), longest // 4))
        if spec.known or spec.calendar:
            value = max(value, horizon)
        reason = f"{HORIZONS} times the horizon or {SEASONS} seasons, up to a quarter of the rows"
        decisions.append(Decision(place="data.lookback", value=value, reason=reason))
    return decisions


def _usable(spec: SeriesSpec, table: SeriesTable, horizon: int, faults: Faults) -> list[_Kept]:
    """The series that are long enough, each with its parts."""
    assert isinstance(spec.lookback, int)
    kept = []
    for one in table.series:
        future = np.zeros((0, one.values.shape[1]))
        if spec.known:  # rows behind the last target tell what is known beforehand
            one, future = without_future(one, len(table.columns.targets))
        name = f'series "{one.name}"' if one.name else "the series"
        try:
            parts = divided(spec.split, one, numbered=table.numbered)
        except DataError as error:
            faults.add(name, str(error))
            continue
        rows = parts["train"][1]
        if rows < spec.lookback + horizon:
            faults.add(
                name,
                f"has {rows:,} training rows; wanted {spec.lookback + horizon:,} or more: a "
                f"window reads {spec.lookback:,} (data.lookback) and forecasts {horizon:,}",
            )
            continue
        kept.append((one, future, parts))
    faults.settle()
    return kept


def _too_short(spec: SeriesSpec, faults: Faults) -> str:
    """Why no series can be learned from: the last that was looked at, for all."""
    name, reason = faults.found[-1]
    return f"{spec.path}: has no series that is long enough: {name} {reason}"


def _steps(table: SeriesTable, kept: list[_Kept], scaling: Scaling, read: ColumnsRead) -> Steps:
    """All steps of all series, as they are read and forecast; those that are missing are NaN."""
    targets = len(table.columns.targets)
    inputs = [
        read.inputs(one, future, scaling, number) for number, (one, future, _) in enumerate(kept)
    ]
    values = [
        scaling.scaled(one.values, number)[:, :targets] for number, (one, _, _) in enumerate(kept)
    ]
    present = ~np.isnan(np.concatenate(values))
    return Steps(
        inputs_MC=_filled(inputs),
        values_MT=_filled(values),
        present_MT=None if present.all() else torch.from_numpy(present),
        whole_M=~np.isnan(np.concatenate(inputs)).any(1),
        scaling=scaling,
        series_M=np.repeat(np.arange(len(kept)), [one.steps for one, _, _ in kept]),
        labels=tuple(one.name for one, _, _ in kept),
        times_M=np.concatenate([one.times for one, _, _ in kept]),
        numbered=table.numbered or table.columns.time is None,
    )


def _filled(parts: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([filled(part) for part in parts]).astype(np.float32))


def _starts(
    spec: SeriesSpec, kept: list[_Kept], steps: Steps, horizon: int
) -> tuple[dict[Split, list[NDArray[np.int64]]], int]:
    """The first steps of the windows of each split; and how many windows were left out."""
    assert isinstance(spec.lookback, int)
    starts: dict[Split, list[NDArray[np.int64]]] = {}
    first, touched = 0, 0
    for one, _, parts in kept:
        own_rows = slice(first, first + one.steps)
        present = None if steps.present_MT is None else steps.present_MT[own_rows].numpy()
        usable = _usable_windows(spec, steps.whole_M[own_rows], present, horizon)
        for split, part in parts.items():
            every = window_starts(part, lookback=spec.lookback, horizon=horizon)
            own = every if usable is None else every[usable[every]]
            touched += len(every) - len(own)
            starts.setdefault(split, []).append(evenly(own, spec.limit) + first)
        first += one.steps
    return starts, touched


def _usable_windows(
    spec: SeriesSpec,
    whole_N: NDArray[np.bool_],
    present_NT: NDArray[np.bool_] | None,
    horizon: int,
) -> NDArray[np.bool_] | None:
    """For each first row whether its window may be used; none where each may."""
    assert isinstance(spec.lookback, int)
    if spec.missing == "stop":
        return None
    rows, ahead = len(whole_N), spec.lookback
    if present_NT is None:
        present_NT = np.ones((rows, 1), dtype=bool)
    if spec.missing == "skip":
        reads = windows_without(~whole_N, spec.lookback)
        knows = windows_without(np.logical_not(present_NT.all(1)), horizon)
    else:
        reads = np.ones(rows, dtype=bool)
        knows = ~windows_without(np.asarray(present_NT.any(1)), horizon)
    later = np.zeros(rows, dtype=bool)
    later[: rows - ahead] = knows[ahead:]
    usable: NDArray[np.bool_] = reads & later
    return usable


def _examples(
    spec: SeriesSpec,
    steps: Steps,
    starts: Mapping[Split, list[NDArray[np.int64]]],
    horizon: int,
) -> dict[Split, SeriesExamples]:
    assert isinstance(spec.lookback, int)
    examples: dict[Split, SeriesExamples] = {}
    for split in SPLITS:
        if split not in starts:
            continue
        own = evenly(np.concatenate(starts[split]), spec.limit)
        if not len(own):
            touch = ", or data.missing=fill" if spec.missing == "skip" else ""
            raise DataError(
                f"{spec.path}: no window lies in the {split} rows: each forecasts {horizon:,} of "
                f"them; give data.split.{split} more rows{touch}, or forecast fewer steps"
            )
        examples[split] = SeriesExamples(steps, split, own, lookback=spec.lookback, horizon=horizon)
    return examples


def _has_missing(spec: SeriesSpec, table: SeriesTable, kept: list[OneSeries]) -> DataError:
    """The error for missing values, which names the first."""
    count = sum(int(np.isnan(one.values).sum()) for one in kept)
    one = next(one for one in kept if np.isnan(one.values).any())
    row, column = (int(place) for place in np.argwhere(np.isnan(one.values))[0])
    where = f'"{one.name}", ' if one.name else ""
    absent = f" ({table.absent:,} times have no row at all)" if table.absent else ""
    return DataError(
        f"{spec.path}: {count:,} value{'s are' if count > 1 else ' is'} missing{absent}, the first "
        f'in {where}"{table.columns.values[column]}" at {table.written(int(one.times[row]))}; '
        "fill each with the last one before it: data.missing=fill, or leave out the windows that "
        "touch it: data.missing=skip"
    )


def _fingerprint(steps: Steps, examples: Mapping[Split, SeriesExamples], form: SeriesForm) -> str:
    """Of every value, window and setting of what is read."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(steps.inputs_MC.numpy().tobytes())
    digest.update(steps.values_MT.numpy().tobytes())
    if steps.present_MT is not None:
        digest.update(steps.present_MT.numpy().tobytes())
    data = {key: value for key, value in form.data.items() if key not in _OF_THE_FILE}
    settings = form.model_copy(update={"data": data})
    digest.update(repr(sorted(plain(settings).items())).encode())
    for name in sorted(examples):
        digest.update(name.encode())
        digest.update(examples[name].starts.tobytes())
    return digest.hexdigest()
