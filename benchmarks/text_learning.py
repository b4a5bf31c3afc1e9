"""What the recipes for texts learn, three seeds each, beside baselines on the same rows.

    python benchmarks/text_learning.py                     # every recipe
    python benchmarks/text_learning.py sst2_cnn clinc150   # some of them
    python benchmarks/text_learning.py --json benchmarks/results/text_learning.json

Baselines: of classes, the most frequent one, and logistic regression on TF-IDF of words and pairs
of words (of characters, where a recipe reads characters), its strength chosen on the validation
split. The references in brackets are from the literature, where they were trained elsewhere.
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
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from luthier.data.text.labelled.labelled import read_labelled
from luthier.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (1, 2, 3)
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)
RECIPES = {
    # recipe: the metrics that are told, and what others reached
    "sst2_cnn": (("accuracy",), "CNN-rand 0.827, trained on phrases too (Kim 2014)"),
    "sst2_lstm": (("accuracy",), "BiLSTM 0.84 to 0.85, with pretrained vectors"),
    "mr_cnn": (("accuracy",), "CNN-rand 0.761, ten-fold (Kim 2014)"),
    "mr_lstm": (("accuracy",), ""),
    "clinc150": (("accuracy",), "CNN 0.912, MLP 0.935 (Larson 2019)"),
    "csl_category": (("accuracy",), ""),
    "wnut17_bilstm": (("entity_f1",), "BiLSTM-CRF about 0.40, with pretrained vectors"),
    "wnut17_transformer": (("entity_f1",), ""),
    "weibo_bilstm": (("entity_f1",), "BiLSTM-CRF 0.46 to 0.55, with pretrained vectors"),
    "weibo_transformer": (("entity_f1",), ""),
    "snips": (
        ("accuracy", "entity_f1", "frame_accuracy"),
        "slot-gated BiLSTM: intent 0.970, slots 0.888 (Goo 2018)",
    ),
}


def trained(name: str, seed: int, threads: int, out: Path, *changes: str) -> dict[str, Any]:
    """The outcome of a recipe with a seed and changes, as `luthier train --json` prints it."""
    command = [
        sys.executable, "-m", "luthier", "train", str(ROOT / "recipes" / f"{name}.yaml"),
        f"training.seed={seed}", f"placement.threads={threads}", *changes,
        "--out", str(out), "--json",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}, seed {seed}: {done.stderr.strip().splitlines()[-1:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def baselines(name: str) -> dict[str, float]:
    """The accuracy of the most frequent class, and of logistic regression on TF-IDF."""
    recipe = Recipe.read(ROOT / "recipes" / f"{name}.yaml")
    texts = read_labelled(recipe.data, recipe.task.purpose())
    rows = {split: ([r.text for r in part], [r.label for r in part])
            for split, part in texts.parts.items()}  # fmt: skip
    characters = "characters" in json.dumps(recipe.data.model_dump(mode="json")["tokenizer"])
    terms = TfidfVectorizer(
        analyzer="char" if characters else "word",
        ngram_range=(1, 3) if characters else (1, 2),
        token_pattern=r"\S+",
        sublinear_tf=True,
    )
    train = terms.fit_transform(rows["train"][0])
    held = {s: (terms.transform(x), y) for s, (x, y) in rows.items() if s != "train"}
    best, chosen = -1.0, None
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=300).fit(train, rows["train"][1])
        score = model.score(*held["validation"])
        if score > best:
            best, chosen = score, model
    assert chosen is not None
    labels = rows["test"][1]
    most = statistics.mode(rows["train"][1])
    return {
        "most frequent class": sum(label == most for label in labels) / len(labels),
        "TF-IDF and logistic regression": chosen.score(*held["test"]),
    }


def measured(name: str, threads: int) -> list[dict[str, Any]]:
    """The rows of one recipe."""
    metrics, reference = RECIPES[name]
    with tempfile.TemporaryDirectory() as folder:
        runs = [trained(name, seed, threads, Path(folder) / str(seed)) for seed in SEEDS]
    rows = []
    for metric in metrics:
        values = [run["metrics"][metric]["value"] for run in runs]
        rows.append(_row(name, "luthier", metric, values, reference))
    rows[0]["seconds"] = [run["seconds"] for run in runs]
    if metrics == ("accuracy",):
        for who, value in baselines(name).items():
            rows.append(_row(name, who, "accuracy", [value], ""))
    for row in rows:
        figures = f"{row['median']:.4f} ({row['low']:.4f} to {row['high']:.4f})"
        print(f"{row['case']:20} {row['who']:32} {row['metric']:16} {figures} {row['reference']}")
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
        "benchmark": "text_learning",
        "date": datetime.date.today().isoformat(),
        "command": f"python benchmarks/text_learning.py --threads {threads} --json FILE",
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
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    for name in given.recipes or RECIPES:
        rows = measured(name, given.threads)
        if given.json is not None:
            _save(given.json, name, rows, given.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
