"""What the recipes that tune a pretrained network learn, three seeds each, beside their starts.

    python benchmarks/tuning_learning.py                     # every case
    python benchmarks/tuning_learning.py minilm_clinc150     # some of them
    python benchmarks/tuning_learning.py --json benchmarks/results/tuning_learning.json

Each recipe runs with all weights, with LoRA, or with QLoRA. Requests outside the 150 intents of
CLINC150 are told by how sure the network is of its answer: the area under the curve of known
requests against unknown ones (a half: guessing), and the unknown ones that stay when one known
request in twenty is turned away (Hendrycks and Gimpel 2017).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from learning import ROOT, SEEDS, Figures, answered, row_of, save, trained
from sklearn.metrics import roc_auc_score

LORA = ("adapter.kind=lora", "adapter.rank=16")
LORA_RATE = "optimizer.learning_rate=1.0e-3"
"""An adapter that begins with nothing takes higher rates than weights that are there."""
SHORT = ("training.epochs=null", "training.steps=8")
"""A sixth of the rows: six runs of 135M weights take long."""
CLINC = Path("../shared/data/text_classification/clinc150/data_full.json")
KNOWN_KEPT = 0.95


@dataclass(frozen=True)
class Tuned:
    """A recipe, the ways in which it is tuned, and what is told of it."""

    ways: dict[str, tuple[str, ...]]
    """By name: changes of the recipe."""
    metrics: tuple[str, ...]
    before: str | None = None
    """The start that is measured on the same rows; none: it has no head for them."""
    first: str | None = None
    """A recipe that makes the start; none: the start is there."""
    more: Callable[[Path], dict[str, float]] | None = None
    """What else is measured of a finished run."""


def unknown_requests(run: Path) -> dict[str, float]:
    """How well a run's confidence tells requests outside the intents from those inside."""
    lists = json.loads((ROOT / CLINC).read_text())
    known, unknown = (
        _confidence(run, [text for text, _ in lists[part]]) for part in ("test", "oos_test")
    )
    truth = np.r_[np.ones(len(known)), np.zeros(len(unknown))]
    least = np.quantile(known, 1 - KNOWN_KEPT)
    return {
        "unknown_auroc": float(roc_auc_score(truth, np.r_[known, unknown])),
        "unknown_kept": float((unknown >= least).mean()),
    }


def _confidence(run: Path, texts: list[str]) -> np.ndarray:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join(texts))
        file.flush()
        said = answered("predict", str(run), file.name, "--top", "1")
    return np.array([one["probability"] for one in said])


CASES = {
    "minilm_sst2": Tuned({"all weights": (), "LoRA": (*LORA, LORA_RATE)}, ("accuracy",)),
    "minilm_clinc150": Tuned(
        {"all weights": (), "LoRA": (*LORA, LORA_RATE)}, ("accuracy",), more=unknown_requests
    ),
    "minilm_wnut17": Tuned({"all weights": ()}, ("entity_f1",)),
    "smollm2_instructions": Tuned(
        {"LoRA": SHORT, "QLoRA": (*SHORT, "adapter.kind=qlora")},
        ("loss", "bits_per_byte"),
        before="../models/SmolLM2-135M-Instruct",
    ),
    "harmless": Tuned({"DPO, LoRA": ()}, ("accuracy", "margin"), first="instructions"),
}


def measured(name: str, threads: int) -> list[Figures]:
    """The rows of one case."""
    case, rows = CASES[name], []
    if case.before is not None:
        recipe = str(ROOT / "recipes" / f"{name}.yaml")
        found = answered("evaluate", case.before, "--on", recipe)["metrics"]
        rows += [row_of(name, "the start", key, [found[key]["value"]]) for key in case.metrics]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        changes: tuple[str, ...] = ()
        if case.first is not None:
            trained(case.first, SEEDS[0], threads, folder / "first")
            changes = (f"start={folder / 'first'}",)
        for way, settings in case.ways.items():
            values: dict[str, list[float]] = {}
            seconds = []
            for seed in SEEDS:
                run = folder / f"{way}_{seed}"
                outcome = trained(name, seed, threads, run, *changes, *settings)
                seconds.append(outcome["seconds"])
                found = {key: outcome["metrics"][key]["value"] for key in case.metrics}
                for key, value in {**found, **(case.more(run) if case.more else {})}.items():
                    values.setdefault(key, []).append(value)
            told = [row_of(name, way, key, values[key]) for key in values]
            told[0]["seconds"] = seconds
            rows += told
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    command = f"python benchmarks/tuning_learning.py --threads {given.threads} --json FILE"
    for name in given.cases or CASES:
        rows = measured(name, given.threads)
        if given.json is not None:
            save(given.json, "tuning_learning", command, list(CASES), rows)


if __name__ == "__main__":
    main()
