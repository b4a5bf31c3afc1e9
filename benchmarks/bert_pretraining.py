"""What masked-token pretraining gives: the same network with it and without, on SST-2.

    python benchmarks/bert_pretraining.py --json benchmarks/results/bert_pretraining.json

`recipes/wiki_bert.yaml` is trained whole, and for one step at a rate of next to nothing: the same
tokenizer and layers, untouched. From each of the two `recipes/sst2_bert.yaml` is
trained with the same seeds, so that the runs are pairs.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
from pathlib import Path
from typing import Any

import harness
from learning import SEEDS, row_of, trained


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder), given.threads)
    print(*found["notes"], sep="\n")
    if given.json is not None:
        about = {
            "benchmark": "bert_pretraining",
            "date": datetime.date.today().isoformat(),
            "command": f"python benchmarks/bert_pretraining.py --threads {given.threads}",
            "machine": harness.machine(),
            "seeds": list(SEEDS),
        }
        given.json.write_text(json.dumps({**about, **found}, indent=1) + "\n")


def measured(folder: Path, threads: int) -> dict[str, Any]:
    """Test accuracies with and without, and their differences by seed."""
    untouched = (
        "training.steps=1",
        "training.epochs=null",
        "training.evaluate_every_epochs=null",
        "schedule.warmup_steps=0",
        "optimizer.learning_rate=1.0e-12",
    )
    starts = {"pretrained": (), "without": untouched}
    accuracies: dict[str, list[float]] = {}
    pretraining: dict[str, Any] = {}
    for name, changes in starts.items():
        start = folder / name
        outcome = trained("wiki_bert", SEEDS[0], threads, start, *changes)
        pretraining[name] = {"metrics": outcome["metrics"], "seconds": outcome["seconds"]}
        accuracies[name] = [
            trained("sst2_bert", seed, threads, folder / f"{name}_{seed}", f"start={start}")[
                "metrics"
            ]["accuracy"]["value"]
            for seed in SEEDS
        ]
    rows = [row_of("sst2_bert", name, "accuracy", values) for name, values in accuracies.items()]
    differences = [a - b for a, b in zip(*accuracies.values(), strict=True)]
    notes = ["Pretrained less without, by seed: " + ", ".join(f"{d:+.4f}" for d in differences)]
    return {"rows": rows, "notes": notes, "pretraining": pretraining}


if __name__ == "__main__":
    main()
