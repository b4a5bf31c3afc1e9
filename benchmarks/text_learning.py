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
import json
import statistics
import sys
import tempfile
from pathlib import Path

from learning import ROOT, SEEDS, Figures, row_of, save, trained
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from luthier.data.text.labelled.labelled import read_labelled
from luthier.recipe import Recipe

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


def measured(name: str, threads: int) -> list[Figures]:
    """The rows of one recipe."""
    metrics, reference = RECIPES[name]
    with tempfile.TemporaryDirectory() as folder:
        runs = [trained(name, seed, threads, Path(folder) / str(seed)) for seed in SEEDS]
    rows = []
    for metric in metrics:
        values = [run["metrics"][metric]["value"] for run in runs]
        rows.append(row_of(name, "luthier", metric, values, reference))
    rows[0]["seconds"] = [run["seconds"] for run in runs]
    if metrics == ("accuracy",):
        for who, value in baselines(name).items():
            rows.append(row_of(name, who, "accuracy", [value]))
    return rows


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", choices=[[], *RECIPES], default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    command = f"python benchmarks/text_learning.py --threads {given.threads} --json FILE"
    for name in given.recipes or RECIPES:
        rows = measured(name, given.threads)
        if given.json is not None:
            save(given.json, "text_learning", command, list(RECIPES), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
