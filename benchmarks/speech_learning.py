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
import sys
import tempfile
from pathlib import Path

import numpy as np
from learning import ROOT, SEEDS, Figures, row_of, save, trained
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from luthier.data.prepare import prepare
from luthier.data.sound.sound_examples import SoundExamples
from luthier.recipe import Recipe

RECIPES = {
    # recipe: the metrics that are told, and what others reached
    "fsdd": (("accuracy",), "spectrogram CNNs 0.97 to 0.99"),
    "yesno": (("word_error", "exact"), "Kaldi's recipe: word error 0.0000"),
    "fsdd_strings": (("word_error", "exact"), ""),
    "asterisk": (("word_error", "character_error"), ""),
}


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


def measured(name: str, threads: int, folder: Path, changes: list[str]) -> list[Figures]:
    """The rows of one recipe."""
    metrics, reference = RECIPES[name]
    runs = [trained(name, seed, threads, folder / f"{name}_{seed}", *changes) for seed in SEEDS]
    rows = []
    for metric in metrics:
        values = [run["metrics"][metric]["value"] for run in runs]
        rows.append(row_of(name, "luthier", metric, values, reference))
    rows[0]["seconds"] = [run["seconds"] for run in runs]
    for who, value in baselines(name, changes).items():
        rows.append(row_of(name, who, "accuracy", [value]))
    return rows


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", choices=[[], *RECIPES], default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--data", type=Path, help="the folder that stands for ../shared/data")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    command = f"python benchmarks/speech_learning.py --threads {given.threads} --json FILE"
    for name in given.recipes or RECIPES:
        changes = []
        if given.data is not None:
            path = Recipe.read(ROOT / "recipes" / f"{name}.yaml").data.path
            changes = [f"data.path={given.data / Path(path).relative_to('../shared/data')}"]
        with tempfile.TemporaryDirectory() as folder:
            rows = measured(name, given.threads, given.runs or Path(folder), changes)
        if given.json is not None:
            save(given.json, "speech_learning", command, list(RECIPES), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
