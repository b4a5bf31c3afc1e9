"""What benchmarks of learning share: a recipe trained with a seed, a row of figures, their file."""

from __future__ import annotations

import datetime
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (1, 2, 3)
Figures = dict[str, Any]
"""A row: the case, who was measured, the metric, what each seed gave, and a reference."""


def trained(name: str, seed: int, threads: int, out: Path, *changes: str) -> Figures:
    """The outcome of a recipe with a seed and changes, as `luthier train --json` prints it.

    A run that lies in `out` goes on; a finished one is taken as it is.
    """
    recipe = str(ROOT / "recipes" / f"{name}.yaml")
    settings = (f"training.seed={seed}", f"placement.threads={threads}", *changes)
    return answered("train", recipe, *settings, "--out", str(out), "--resume")


def answered(*arguments: str) -> Figures:
    """What a verb of luthier prints with --json.

    Raises:
        SystemExit: If it fails, with its last line.
    """
    command = [sys.executable, "-m", "luthier", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr.strip().splitlines()[-1:]}")
    found: Figures = json.loads(done.stdout)
    return found


def row_of(
    case: str, who: str, metric: str, values: Sequence[float], reference: str = ""
) -> Figures:
    """A row of figures, told as it is made."""
    row = {
        "case": case,
        "who": who,
        "metric": metric,
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": list(values),
        "reference": reference,
    }
    figures = f"{row['median']:.4f} ({row['low']:.4f} to {row['high']:.4f})"
    print(f"{case:20} {who:32} {metric:16} {figures} {reference}", flush=True)
    return row


def save(
    path: Path,
    benchmark: str,
    command: str,
    cases: Sequence[str],
    rows: Sequence[Figures],
    seeds: Sequence[int] = SEEDS,
    notes: Sequence[str] = (),
) -> None:
    """Puts rows into the file, in the order of `cases`; those of other cases stay.

    So do notes where none are given.
    """
    measured = {row["case"] for row in rows}
    found = json.loads(path.read_text()) if path.exists() else {"rows": []}
    kept = [row for row in found["rows"] if row["case"] not in measured]
    document = {
        **found,
        "benchmark": benchmark,
        "date": datetime.date.today().isoformat(),
        "command": command,
        "machine": harness.machine(),
        "seeds": list(seeds),
        "rows": sorted([*kept, *rows], key=lambda row: cases.index(row["case"])),
    }
    if notes:
        document["notes"] = list(notes)
    path.write_text(json.dumps(document, indent=1) + "\n")
