"""What the recipes for questions learn, beside what needs no learning, on the same questions.

    python benchmarks/question_answering.py                          # every case
    python benchmarks/question_answering.py cmrc                     # some of them
    python benchmarks/question_answering.py minilm_xquad --folds 0   # a part of a cross-validation
    python benchmarks/question_answering.py --json benchmarks/results/question_answering.json

CMRC 2018 is learned from its development part and measured on its trial part; the network is then
measured on the Chinese questions of XQuAD too, of which it learned nothing. XQuAD has no training
part: its 48 articles are dealt into five folds, and each is answered by a network that learned from
the others. Its figures are those of the questions of all folds that were run, together.

Baselines: the first words of the context, and a sliding window; each says as many words as training
answers have in the median. See question_baselines.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from learning import ROOT, Figures, answered, row_of, save, trained
from question_baselines import first_tokens, sliding_window, usual_length

from luthier.data.faults import Faults
from luthier.data.readers.questions import QuestionsSpec, Rules
from luthier.data.text.questions.question_row import QuestionRow
from luthier.evaluation.storage import read_evaluation
from luthier.metrics.extraction import exact_match, extraction_metrics, f1

DATA = ROOT / "../shared/data/extractive_qa"
FOLDS = 5
METRICS = ("f1", "exact_match")
CASES = {
    "cmrc": "BERT-base, trained on the 10,142 of the training part: dev part F1 0.845, EM 0.655",
    "xquad_zh": "mBERT, trained on 87,599 questions in English: F1 about 0.58",
    "xquad_zh_folds": "mBERT, trained on 87,599 questions in English: F1 about 0.58",
    "xquad_en_folds": "mBERT, trained on 87,599 questions: F1 0.835",
    "minilm_xquad": "mBERT, trained on 87,599 questions: F1 0.835",
}
SMALL = ("training.epochs=5", "schedule.warmup_steps=20")
"""Of fewer questions than CMRC has."""


@dataclass(frozen=True)
class Folded:
    """A cross-validation."""

    file: str
    recipe: str
    rules: Rules
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the data."""
    changes: tuple[str, ...] = ()
    """Of the recipe."""


FOLDED = {
    "xquad_zh_folds": Folded("xquad.zh.json", "cmrc", "cmrc", {"matches": True}, SMALL),
    "xquad_en_folds": Folded("xquad.en.json", "cmrc", "squad", {"matches": True}, SMALL),
    "minilm_xquad": Folded("xquad.en.json", "minilm_xquad", "squad"),
}


def folds_of(file: Path) -> list[dict[str, Any]]:
    """The articles of a file, dealt in turn."""
    articles = json.loads(file.read_text(encoding="utf-8"))["data"]
    return [{"data": articles[fold::FOLDS]} for fold in range(FOLDS)]


def rows_of(file: Path) -> list[QuestionRow]:
    """The questions of a file that can be asked."""
    found = QuestionsSpec(path=str(file)).collect(Faults("skip"))
    return list(found.parts["train"])


def baselines(
    case: str, train: Sequence[QuestionRow], test: Sequence[QuestionRow], rules: Rules
) -> list[Figures]:
    """What is answered without learning."""
    length = usual_length(train)
    rows = []
    for who, answer in (("first tokens", first_tokens), ("sliding window", sliding_window)):
        said = [(answer(row, length), [a.text for a in row.answers]) for row in test]
        values = {
            "f1": statistics.mean(f1(text, known, rules) for text, known in said),
            "exact_match": statistics.mean(exact_match(text, known, rules) for text, known in said),
        }
        rows += [row_of(case, who, metric, [values[metric]]) for metric in METRICS]
    return rows


def chinese(seeds: Sequence[int], threads: int, changes: Sequence[str]) -> list[Figures]:
    """CMRC, and the same networks on questions that they have not seen the like of."""
    trial = rows_of(DATA / "cmrc2018_zh/cmrc2018_trial.json")
    other, rules = DATA / "xquad/xquad.zh.json", "cmrc"
    own, strange, seconds = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "xquad_zh.yaml"
        place.write_text(
            "name: xquad_zh\ntask: {kind: extract}\nmodel: {layers: [{kind: tokens, width: 8}]}\n"
            f"data: {{kind: questions, path: {other}, split: {{validation: 0, test: 0}}}}\n"
        )
        for seed in seeds:
            run = Path(folder) / str(seed)
            made = trained("cmrc", seed, threads, run, *changes)
            own.append(made["metrics"])
            seconds.append(made["seconds"])
            strange.append(
                answered("evaluate", str(run), "--on", str(place), "--split", "train")["metrics"]
            )
    rows = []
    for case, found in (("cmrc", own), ("xquad_zh", strange)):
        reference = CASES[case]
        for metric in METRICS:
            values = [one[metric]["value"] for one in found]
            rows.append(row_of(case, "luthier", metric, values, reference))
            reference = ""
    rows[0]["seconds"] = seconds
    train = rows_of(DATA / "cmrc2018_zh/cmrc2018_dev.json")
    return [
        *rows[:2],
        *baselines("cmrc", train, trial, rules),
        *rows[2:],
        *baselines("xquad_zh", train, rows_of(other), rules),
    ]


def folded(
    case: str, seeds: Sequence[int], threads: int, folds: Sequence[int], changes: Sequence[str]
) -> list[Figures]:
    """XQuAD's questions, fold by fold."""
    how = FOLDED[case]
    parts = folds_of(DATA / "xquad" / how.file)
    values: dict[str, list[float]] = {metric: [] for metric in METRICS}
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            columns = []
            for fold in folds:
                files = files_of(Path(folder), parts, fold)
                data = "data=" + json.dumps({"kind": "questions", "files": files, **how.settings})
                run = Path(folder) / f"{seed}-{fold}"
                made = trained(how.recipe, seed, threads, run, data, *how.changes, *changes)
                seconds.append(made["seconds"])
                columns.append(read_evaluation(run / "evaluation", "test").columns)
                print(f"fold {fold}: F1 {made['metrics']['f1']['value']:.4f}", flush=True)
            names = ("f1", "exact_match", "answerable")
            whole = {name: np.concatenate([one[name] for one in columns]) for name in names}
            for metric, found in extraction_metrics(whole).items():
                values[metric].append(found.value)
        test = [row for fold in folds for row in rows_of(_part(Path(folder), parts, [fold]))]
        train = rows_of(_part(Path(folder), parts, range(FOLDS)))
    told = f"{CASES[case]}; here {len(folds)} of {FOLDS} folds"
    rows = [row_of(case, "luthier", m, values[m], told if m == "f1" else "") for m in METRICS]
    rows[0]["seconds"] = seconds
    return [*rows, *baselines(case, train, test, how.rules)]


def files_of(folder: Path, parts: Sequence[dict[str, Any]], fold: int) -> dict[str, str]:
    """The files of a fold: what is learned from, and what is measured on."""
    others = [other for other in range(FOLDS) if other != fold]
    train, test = (_part(folder, parts, chosen) for chosen in (others, [fold]))
    return {"train": str(train), "test": str(test)}


def _part(folder: Path, parts: Sequence[dict[str, Any]], chosen: Sequence[int]) -> Path:
    place = folder / f"articles-{'-'.join(map(str, chosen))}.json"
    articles = [article for part in chosen for article in parts[part]["data"]]
    place.write_text(json.dumps({"data": articles}, ensure_ascii=False), encoding="utf-8")
    return place


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], "cmrc", *FOLDED], default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipe")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    seeds, threads = given.seeds, given.threads
    command = f"python benchmarks/question_answering.py --threads {threads} --json FILE"
    for name in given.cases or ("cmrc", *FOLDED):
        if name == "cmrc":
            rows = chinese(seeds, threads, given.set)
        else:
            rows = folded(name, seeds, threads, given.folds, given.set)
        if given.json is not None:
            save(given.json, "question_answering", command, list(CASES), rows, seeds)


if __name__ == "__main__":
    main()
