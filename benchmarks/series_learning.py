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
import datetime
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness

from luthier.recipe import Recipe
from luthier.spec import plain

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (1, 2, 3)
RECIPES = {
    # recipe: its seeds, and what others reached
    "etth1_dlinear": (SEEDS, "DLinear 0.375 (Zeng 2022, table 2)"),
    "etth1_patchtst": (SEEDS[:1], "PatchTST/42 0.375, /64 0.370, of 3 layers (Nie 2023, table 3)"),
    "etth1_lstm": (SEEDS[:1], ""),
    "exchange": (SEEDS, "DLinear 0.081 (Zeng 2022, table 2)"),
}
NAIVE = {"repeat_last": "the last value", "seasonal_naive": "the last season"}
METRICS = ("mse", "mae")


def trained(name: str, seed: int, threads: int, out: Path) -> dict[str, Any]:
    """The outcome of a recipe with a seed, as `luthier train --json` prints it."""
    recipe = ROOT / "recipes" / f"{name}.yaml"
    data = (ROOT / str(plain(Recipe.read(recipe).data)["path"])).resolve()
    command = [
        sys.executable, "-m", "luthier", "train", str(recipe), f"data.path={data}",
        f"training.seed={seed}", f"placement.threads={threads}",
        "--out", str(out), "--resume", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}, seed {seed}: {done.stderr.strip().splitlines()[-1:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def measured(name: str, threads: int, folder: Path) -> list[dict[str, Any]]:
    """The rows of one recipe."""
    seeds, reference = RECIPES[name]
    runs = [trained(name, seed, threads, folder / f"{name}-{seed}") for seed in seeds]
    rows = []
    for metric in METRICS:
        values = [run["metrics"][metric]["value"] for run in runs]
        rows.append(_row(name, "luthier", metric, values, reference if metric == "mse" else ""))
    rows[0]["seconds"] = [run["seconds"] for run in runs]
    for naive, who in NAIVE.items():
        for metric in METRICS:
            found = runs[0]["metrics"].get(f"{naive}_{metric}")
            if found is not None:
                rows.append(_row(name, who, metric, [found["value"]], ""))
    for row in rows:
        figures = f"{row['median']:.4f} ({row['low']:.4f} to {row['high']:.4f})"
        print(f"{row['case']:16} {row['who']:16} {row['metric']:5} {figures} {row['reference']}")
    return rows


def _row(case: str, who: str, metric: str, values: list[float], reference: str) -> dict[str, Any]:
    return {
        "case": case,
        "who": who,
        "metric": metric,
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": values,
        "reference": reference,
    }


def _save(path: Path, name: str, rows: list[dict[str, Any]], threads: int) -> None:
    """Puts the rows of one recipe into the file; those of the others stay."""
    found = json.loads(path.read_text()) if path.exists() else {"rows": []}
    kept = [row for row in found["rows"] if row["case"] != name]
    order = list(RECIPES)
    single = [name for name, (seeds, _) in RECIPES.items() if len(seeds) == 1]
    found = {
        "benchmark": "series_learning",
        "date": datetime.date.today().isoformat(),
        "command": f"python benchmarks/series_learning.py --threads {threads} --json FILE",
        "machine": harness.machine(),
        "seeds": list(SEEDS),
        "notes": [
            "Test rows, on the scale of the training rows; ETTh1 over 12, 4 and 4 months, 96 hours "
            "from the 336 before them; exchange rates 7 : 1 : 2, 96 days from 96.",
            f"Of {', '.join(single)} one seed alone was trained, since they take longer.",
        ],
        "rows": sorted([*kept, *rows], key=lambda row: order.index(row["case"])),
    }
    path.write_text(json.dumps(found, indent=1) + "\n")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", choices=[[], *RECIPES], default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path, help="Where runs are kept; a folder that goes.")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in given.recipes or RECIPES:
            rows = measured(name, given.threads, given.runs or Path(scratch))
            if given.json is not None:
                _save(given.json, name, rows, given.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
