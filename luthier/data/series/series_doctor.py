"""What a person should know about series before a network is trained on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from luthier.data.collection import Split
from luthier.data.finding import Finding, counted, some_of, unusable, worst_first
from luthier.data.series.prepare_series import PreparedSeries
from luthier.data.series.series_windows import SeriesExamples

FEW_WINDOWS = 100
FAR = 3.0
"""Standard deviations of the training rows between the means of two parts, from where they are
worth a warning."""
SEASONS = (4, 7, 12, 24, 48, 52, 96, 144, 168, 288, 336)
"""Lengths of a season that are tried."""
CLEAR = 0.3
"""How much more than the season of the recipe another one must repeat itself."""


def inspect_series(data: PreparedSeries) -> list[Finding]:
    """All findings, errors first."""
    found = [*unusable(data.skipped, "row")] if data.skipped else []
    found += [*_rows(data), *_windows(data), *_values(data), *_season(data), *_naive(data)]
    return worst_first(found)


def _rows(data: PreparedSeries) -> Iterator[Finding]:
    table = data.table
    if table.unsorted:
        yield Finding(severity="note", message="rows do not stand in the order of time: sorted")
    if data.missing:
        absent = f", as {counted(table.absent, 'time has', 'times have')} no row" * bool(
            table.absent
        )
        done = (
            f"{counted(data.touched, 'window is', 'windows are')} left out"
            if data.touched
            else "each is read as the last one before it, and is nothing to be forecast"
        )
        yield Finding(
            severity="warning",
            message=f"{counted(data.missing, 'value is', 'values are')} missing{absent}: {done}",
        )
    left = sum(
        one.steps - max(stop for _, stop in parts.values())
        for one, parts in zip(table.series, data.parts, strict=False)
    )
    if left > 0:
        yield Finding(
            severity="note",
            message=f"{counted(left, 'row')} behind the last split are left out (data.split)",
        )


def _windows(data: PreparedSeries) -> Iterator[Finding]:
    for split, examples in _splits(data):
        if len(examples) < FEW_WINDOWS:
            advice = "a shorter lookback or horizon makes more"
            yield Finding(
                severity="warning",
                message=f"{split} has {counted(len(examples), 'window')}; {advice}",
            )
    lookback, season = data.train.lookback, data.target.season
    if season > 1 and lookback < season:
        yield Finding(
            severity="warning",
            message=f"data.lookback is {lookback:,} and a season has {season:,} steps: no whole "
            "one is read, so nothing is compared with its repetition",
        )


def _values(data: PreparedSeries) -> Iterator[Finding]:
    """Columns that never change, and parts that lie elsewhere than the training rows."""
    steps, names = data.train.steps, data.target.names
    still: set[str] = set()
    moved: dict[Split, set[str]] = {}
    first = 0
    for number, parts in enumerate(data.parts):
        rows = int((steps.series_M == number).sum())
        values = steps.values_MT[first : first + rows].numpy()
        first += rows
        trained = values[slice(*parts["train"])]
        spread, middle = trained.std(0), trained.mean(0)
        label = f"{steps.labels[number]}: " * bool(steps.labels[number])
        still |= {f"{label}{names[column]}" for column in np.flatnonzero(spread < 1e-6)}
        for split, part in parts.items():
            apart = np.abs(values[slice(*part)].mean(0) - middle)
            far = np.flatnonzero((apart > FAR * spread) & (spread >= 1e-6))
            moved.setdefault(split, set()).update(f"{label}{names[column]}" for column in far)
    if still:
        yield Finding(
            severity="warning",
            message=f"never changes in the training rows: {some_of(sorted(still))}",
        )
    for split, columns in moved.items():
        if columns:
            yield Finding(
                severity="warning",
                message=f"{split} lies more than {FAR:g} standard deviations from the training "
                f"rows: {some_of(sorted(columns))}; a network that forecasts changes copes better "
                "(nlinear, or {kind: reversible_norm, …})",
            )


def _season(data: PreparedSeries) -> Iterator[Finding]:
    """Another season that the training rows repeat themselves in more clearly."""
    stop = data.parts[0]["train"][1]
    values = data.train.steps.values_MT[:stop].numpy().astype(np.float64)
    found = {season: _repetition(values, season) for season in SEASONS if 4 * season < stop}
    if not found:
        return
    own = data.target.season
    # What repeats itself every day does so every two days.
    found = {season: value for season, value in found.items() if own == 1 or season % own}
    if not found:
        return
    best = max(found, key=lambda season: found[season])
    if _repetition(values, best // 2) >= found[best]:
        return  # what changes slowly is like itself after any few steps, and repeats nothing
    ours = _repetition(values, own) if own > 1 else 0.0
    if found[best] > ours + CLEAR:
        yield Finding(
            severity="note",
            message=f"the training rows repeat themselves most clearly every {best} steps "
            f"(correlation {found[best]:.2f}), and data.season is {own}",
        )


def _repetition(values_NT: np.ndarray, season: int) -> float:
    """The correlation of the changes over a season's steps with those a season before: that of
    the values would call each slow series seasonal."""
    changes = np.diff(values_NT, axis=0)
    before, after = changes[:-season], changes[season:]
    spread = before.std(0) * after.std(0)
    joint = ((before - before.mean(0)) * (after - after.mean(0))).mean(0)
    kept = spread > 1e-12
    return float((joint[kept] / spread[kept]).mean()) if kept.any() else 0.0


def _naive(data: PreparedSeries) -> Iterator[Finding]:
    """What a forecast without a network reaches: what the network has to beat."""
    for split, examples in _splits(data):
        if split == "train":
            continue
        told: list[str] = []
        for name, lag in (("repeating the last value", 1), ("the last season", data.target.season)):
            if (lag == 1 and told) or lag > examples.lookback:
                continue
            told.append(f"{name} has an MSE of {_error(examples, lag):.4f}")
        yield Finding(severity="note", message=f"on {split}, {', '.join(told)}")


def _error(examples: SeriesExamples, lag: int) -> float:
    """The mean squared error of repeating the last `lag` steps."""
    total, count = 0.0, 0
    targets = examples.steps.values_MT.shape[1]
    places = examples.lookback - lag + np.arange(examples.horizon) % lag
    for start in range(0, len(examples), examples.at_once):
        ids = np.arange(start, min(start + examples.at_once, len(examples)))
        samples = examples.read(ids, epoch=0)
        error = (samples.inputs[:, places, :targets] - samples.targets).double().square()
        present = samples.present
        total += float(error.sum() if present is None else (error * present).sum())
        count += int(error.numel() if present is None else present.sum())
    return total / max(count, 1)


def _splits(data: PreparedSeries) -> list[tuple[str, SeriesExamples]]:
    named = (("train", data.train), ("validation", data.validation), ("test", data.test))
    return [(name, examples) for name, examples in named if examples is not None]
