"""What the recipes for series learn, beside forecasts without a network on the same windows.

    python benchmarks/series_learning.py                          # every recipe
    python benchmarks/series_learning.py etth1_dlinear exchange   # some of them
    python benchmarks/series_learning.py --json benchmarks/results/series_learning.json

Short trainings are made with three seeds, long ones with one. A run that is finished in --runs is
not trained again. The references in brackets are from the literature, where they were trained
elsewhere.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from learning import SEEDS, Figures, row_of, save, trained

RECIPES = {
    # recipe: its seeds, and what others reached
    "etth1_dlinear": (SEEDS, "DLinear 0.375 (Zeng 2022, table 2)"),
    "etth1_patchtst": (SEEDS[:1], "PatchTST/42 0.375, /64 0.370, of 3 layers (Nie 2023, table 3)"),
    "etth1_lstm": (SEEDS[:1], ""),
    "exchange": (SEEDS, "DLinear 0.081 (Zeng 2022, table 2)"),
}
NAIVE = {"repeat_last": "the last value", "seasonal_naive": "the last season"}
METRICS = ("mse", "mae")
NOTES = (
    "Test rows, on the scale of the training rows; ETTh1 over 12, 4 and 4 months, 96 hours "
    "from the 336 before them; exchange rates 7 : 1 : 2, 96 days from 96.",
    f"Of {', '.join(name for name, (seeds, _) in RECIPES.items() if len(seeds) == 1)} one seed "
    "alone was trained, since they take longer.",
)


def measured(name: str, threads: int, folder: Path) -> list[Figures]:
    """The rows of one recipe."""
    seeds, reference = RECIPES[name]
    runs = [trained(name, seed, threads, folder / f"{name}-{seed}") for seed in seeds]
    rows = []
    for metric in METRICS:
        values = [run["metrics"][metric]["value"] for run in runs]
        rows.append(row_of(name, "luthier", metric, values, reference if metric == "mse" else ""))
    rows[0]["seconds"] = [run["seconds"] for run in runs]
    for naive, who in NAIVE.items():
        for metric in METRICS:
            found = runs[0]["metrics"].get(f"{naive}_{metric}")
            if found is not None:
                rows.append(row_of(name, who, metric, [found["value"]]))
    return rows


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", choices=[[], *RECIPES], default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, help="Where runs are kept; a folder that goes.")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    command = f"python benchmarks/series_learning.py --threads {given.threads} --json FILE"
    with tempfile.TemporaryDirectory() as scratch:
        for name in given.recipes or RECIPES:
            rows = measured(name, given.threads, given.runs or Path(scratch))
            if given.json is not None:
                save(given.json, "series_learning", command, list(RECIPES), rows, notes=NOTES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
