"""What the recipes for sounds learn, three seeds each, beside baselines on the same rows.

    python benchmarks/speech_learning.py                  # every recipe
    python benchmarks/speech_learning.py fsdd yesno       # some of them
    python benchmarks/speech_learning.py --runs FOLDER --json FILE

A run that is finished in FOLDER (`fsdd_1` for seed 1) is taken as it is. Baselines of classes: the
most frequent one, and logistic regression on the mean and the spread of each feature over a sound.
References are from the literature, where they were trained elsewhere.
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
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from luthier.data.prepare import prepare
from luthier.data.sound.sound_examples import SoundExamples
from luthier.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (1, 2, 3)
RECIPES = {
    # recipe: the metrics that are told, and what others reached
    "fsdd": (("accuracy",), "spectrogram CNNs 0.97 to 0.99"),
    "yesno": (("word_error", "exact"), "Kaldi's recipe: word error 0.0000"),
    "fsdd_strings": (("word_error", "exact"), ""),
    "asterisk": (("word_error", "character_error"), ""),
}


def trained(name: str, seed: int, threads: int, out: Path, changes: list[str]) -> dict[str, Any]:
    """The outcome of a recipe with a seed; of a finished run, as it is."""
    if not (out / "report.html").exists():
        command = [
            sys.executable, "-m", "luthier", "train", str(ROOT / "recipes" / f"{name}.yaml"),
            f"training.seed={seed}", f"placement.threads={threads}", *changes,
            "--out", str(out), "--overwrite", "--json",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}, seed {seed}: {done.stderr.strip().splitlines()[-1:]}")
    facts: dict[str, Any] = json.loads((out / "facts.json").read_text())
    outcome: dict[str, Any] = facts["outcome"]
    return outcome


def baselines(name: str, changes: list[str]) -> dict[str, float]:
    """The accuracy of the most frequent class, and of logistic regression; nothing of texts."""
    recipe = Recipe.read(ROOT / "recipes" / f"{name}.yaml", changes)
    if recipe.task.kind != "classify":
        return {}
    data = prepare(recipe.data, seed=0, purpose=recipe.task.purpose())
    train, test = data.train.plain(), data.test
    assert isinstance(train, SoundExamples)
    assert isinstance(test, SoundExamples)
    scale = StandardScaler().fit(_summaries(train))
    model = LogisticRegression(max_iter=1000).fit(scale.transform(_summaries(train)), train.labels)
    most = np.bincount(train.labels).argmax()
    return {
        "most frequent class": float((test.labels == most).mean()),
        "mean and spread, logistic regression": float(
            model.score(scale.transform(_summaries(test)), test.labels)
        ),
    }


def _summaries(examples: SoundExamples) -> np.ndarray:
    frames = examples.read(np.arange(len(examples)), epoch=0).frames
    return np.stack([np.concatenate([f.mean(0), f.std(0, correction=0)]) for f in frames])


def measured(name: str, threads: int, folder: Path, changes: list[str]) -> list[dict[str, Any]]:
    """The rows of one recipe."""
    metrics, reference = RECIPES[name]
    runs = [trained(name, seed, threads, folder / f"{name}_{seed}", changes) for seed in SEEDS]
    rows = []
    for metric in metrics:
        values = [run["metrics"][metric]["value"] for run in runs]
        rows.append(_row(name, "luthier", metric, values, reference))
    rows[0]["seconds"] = [run["seconds"] for run in runs]
    for who, value in baselines(name, changes).items():
        rows.append(_row(name, who, "accuracy", [value], ""))
    for row in rows:
        figures = f"{row['median']:.4f} ({row['low']:.4f} to {row['high']:.4f})"
        print(f"{row['case']:14} {row['who']:38} {row['metric']:16} {figures} {row['reference']}")
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
    found = {
        "benchmark": "speech_learning",
        "date": datetime.date.today().isoformat(),
        "command": f"python benchmarks/speech_learning.py --threads {threads} --json FILE",
        "machine": harness.machine(),
        "seeds": list(SEEDS),
        "rows": sorted([*kept, *rows], key=lambda row: order.index(row["case"])),
    }
    path.write_text(json.dumps(found, indent=1) + "\n")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", choices=[[], *RECIPES], default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--data", type=Path, help="the folder that stands for ../shared/data")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    for name in given.recipes or RECIPES:
        changes = []
        if given.data is not None:
            path = Recipe.read(ROOT / "recipes" / f"{name}.yaml").data.path
            changes = [f"data.path={given.data / Path(path).relative_to('../shared/data')}"]
        with tempfile.TemporaryDirectory() as folder:
            rows = measured(name, given.threads, given.runs or Path(folder), changes)
        if given.json is not None:
            _save(given.json, name, rows, given.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
