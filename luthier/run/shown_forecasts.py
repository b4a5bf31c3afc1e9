"""Some forecasts of a split, to be looked at."""

from __future__ import annotations

from typing import Any

import numpy as np

from luthier.data.examples import Examples
from luthier.data.prepared import Prepared
from luthier.data.series.prepare_series import PreparedSeries
from luthier.data.series.series_windows import SeriesExamples
from luthier.evaluation.evaluate import Evaluation
from luthier.reports.data import ShownForecast

WINDOWS = 6
READ_HORIZONS = 2
"""Of what was read, so many horizons are shown."""


def shown_forecasts(
    prepared: Prepared, examples: Examples[Any], evaluation: Evaluation
) -> tuple[ShownForecast, ...]:
    """Windows at equal distances over the split, of one target after the other; none where no
    series were forecast."""
    if not isinstance(prepared, PreparedSeries) or not isinstance(examples, SeriesExamples):
        return ()
    details, said_NE = evaluation.details, evaluation.columns["forecast"]
    levels, names, horizon = tuple(details["levels"]), details["shown"], details["horizon"]
    count = min(WINDOWS, len(examples))
    ids = np.unique(np.linspace(0, len(examples) - 1, count + 2)[1:-1].round().astype(np.int64))
    samples = examples.read(ids, epoch=0)
    targets = samples.targets.shape[2]
    mean, std = (part[:, None].numpy() for part in (samples.mean, samples.std))
    read = samples.inputs[..., :targets].numpy() * std + mean
    truth = samples.targets.numpy() * std + mean
    if samples.present is not None:
        truth = np.where(samples.present.numpy(), truth, np.nan)
    shown = []
    for number, row in enumerate(ids):
        target = number % len(names)
        said = said_NE[int(row)].reshape(horizon, len(names), -1)
        name = examples.name(int(row))
        shown.append(
            ShownForecast(
                title=f"{names[target]} from {name} on",
                read=read[number, -READ_HORIZONS * horizon :, target],
                truth=truth[number, :, target],
                said=said[:, target],
                levels=levels,
            )
        )
    return tuple(shown)
