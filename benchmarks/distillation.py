"""What a small network learns with a teacher and without one, three seeds each.

luthier train recipes/mnist_cnn.yaml
python benchmarks/distillation.py runs/mnist_cnn
python benchmarks/distillation.py runs/mnist_cnn --json benchmarks/results/distillation.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness
from text_learning import SEEDS, trained

import luthier

RECIPE = "mnist_taught"
METRIC = "accuracy"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", type=Path, help="a finished run of mnist_cnn.yaml")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    machine, teacher = harness.machine(), asked.teacher.resolve()
    ways = {
        "with the teacher": (f"distill.teacher={teacher}",),
        "without": ("distill=null",),
    }
    of_the_teacher = luthier.load(teacher).summary()["metrics"][METRIC]["value"]
    rows = [_row("the teacher, a CNN", [of_the_teacher])]
    with tempfile.TemporaryDirectory() as folder:
        for who, changes in ways.items():
            runs = [
                trained(RECIPE, seed, asked.threads, Path(folder) / f"{len(rows)}-{seed}", *changes)
                for seed in SEEDS
            ]
            rows.append(
                _row(f"two small layers, {who}", [run["metrics"][METRIC]["value"] for run in runs])
            )
            rows[-1]["seconds"] = [run["seconds"] for run in runs]
            print(rows[-1], flush=True)
    if asked.json:
        result = {
            "benchmark": "distillation",
            "date": datetime.date.today().isoformat(),
            "command": "python benchmarks/distillation.py runs/mnist_cnn --json FILE",
            "machine": machine,
            "seeds": list(SEEDS),
            "rows": rows,
        }
        asked.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _row(who: str, values: list[float]) -> dict[str, Any]:
    return {
        "case": RECIPE,
        "who": who,
        "metric": METRIC,
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": values,
        "reference": "",
    }


if __name__ == "__main__":
    sys.exit(main())
