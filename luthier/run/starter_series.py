"""Starter recipes for series: a linear forecast, which is hard to beat."""

from __future__ import annotations

from luthier.data.series.prepare_series import PreparedSeries
from luthier.run.starter_body import StarterBody, between, comment, some_names

STEPS = 3000
BATCH = 32


def for_series(prepared: PreparedSeries) -> StarterBody:
    """Sections for series.

    Args:
        prepared: The series.
    """
    names, windows = prepared.target.names, len(prepared.train)
    epochs = between(STEPS * BATCH // windows, 3, 30)
    kept = ", keep_best: true" if prepared.validation is not None else ""
    decided = {decision.place: decision for decision in prepared.decisions}
    lines = []
    for name in ("time", "targets", "frequency", "season", "lookback"):
        decision = decided.get(f"data.{name}")
        if decision is not None:
            value = decision.value
            if isinstance(value, list):
                lines += [*comment(f"{decision.reason}:", "  "), f"  {name}: [{', '.join(value)}]"]
            else:
                lines.append(f"  {name}: {value}".ljust(34) + f"# {decision.reason}")
    return StarterBody(
        about=[
            *comment(prepared.recognised),
            *comment(f"{windows:,} training windows; forecasts {some_names(names)}"),
        ],
        lines=[
            *lines,
            "  split: {validation: 0.1, test: 0.2}   # shares, rows, or the dates they begin at",
            "model: {kind: nlinear}          # or dlinear, patchtst, tcn, lstm, or your own layers",
            "optimizer: {kind: adam, learning_rate: 1.0e-3}",
            "schedule: {kind: cosine}",
            f"training: {{epochs: {epochs}, batch_size: {BATCH}{kept}, seed: 7}}",
        ],
    )
