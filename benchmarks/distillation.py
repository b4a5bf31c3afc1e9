"""What a small network learns with a teacher and without one, three seeds each.

luthier train recipes/mnist_cnn.yaml
python benchmarks/distillation.py runs/mnist_cnn
python benchmarks/distillation.py runs/mnist_cnn --json benchmarks/results/distillation.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from learning import SEEDS, row_of, save, trained

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
    teacher = asked.teacher.resolve()
    ways = {
        "with the teacher": (f"distill.teacher={teacher}",),
        "without": ("distill=null",),
    }
    of_the_teacher = luthier.load(teacher).summary()["metrics"][METRIC]["value"]
    rows = [row_of(RECIPE, "the teacher, a CNN", METRIC, [of_the_teacher])]
    with tempfile.TemporaryDirectory() as folder:
        for who, changes in ways.items():
            runs = [
                trained(RECIPE, seed, asked.threads, Path(folder) / f"{len(rows)}-{seed}", *changes)
                for seed in SEEDS
            ]
            values = [run["metrics"][METRIC]["value"] for run in runs]
            rows.append(row_of(RECIPE, f"two small layers, {who}", METRIC, values))
            rows[-1]["seconds"] = [run["seconds"] for run in runs]
    if asked.json:
        command = "python benchmarks/distillation.py runs/mnist_cnn --json FILE"
        save(asked.json, "distillation", command, [RECIPE], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
