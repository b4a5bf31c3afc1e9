"""What `placement.recompute: blocks` saves and costs: memory and time of a step of a small GPT.

    python benchmarks/recompute.py
    python benchmarks/recompute.py --json benchmarks/results/recompute.json

Each way runs in a process of its own, in turns. The peak is that of the process, without what it
had before the first step: its weights, and what Python and torch take.
"""

from __future__ import annotations

import argparse
import datetime
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import harness
import torch

from luthier.model.blocks.unembed import UnembedSpec
from luthier.model.blueprint import Network, build
from luthier.model.families.catalogue import families
from luthier.model.initialize import materialize
from luthier.model.linear_cross_entropy import Scoring, linear_cross_entropy
from luthier.model.stream import Stream
from luthier.placement.place import PlacementSpec, place
from luthier.signal import Signal

VOCAB, CONTEXT, ROWS, STEPS, ROUNDS = 512, 512, 8, 3, 3
WIDTH, DEPTH, HEADS = 128, 12, 4
WAYS = ("none", "blocks")


def network() -> Network:
    """A small GPT-2."""
    model = families()["gpt2"](width=WIDTH, depth=DEPTH, heads=HEADS, dropout=0.0)
    layers = model.design("next_token")
    found = build(layers, Signal.tokens(CONTEXT, VOCAB), (UnembedSpec(vocab=VOCAB),))
    materialize(found, seed=1, spec=layers.initialize)
    return found


def run(way: str, threads: int) -> dict[str, float]:
    """The peak and the median time of a step, in this process."""
    spec = PlacementSpec(
        device="cpu", precision="fp32", layout="channels_last", threads=threads, recompute=way
    )
    placed = place(network(), spec).network.train()
    optimizer = torch.optim.AdamW(placed.parameters(), lr=1e-3, foreach=False)
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(VOCAB, (ROWS, CONTEXT + 1), generator=generator)
    before, times = _peak_bytes(), []
    for _ in range(STEPS):
        begun = time.perf_counter()
        h_BTD = placed.features(tokens[:, :-1], Stream())
        last = placed.head[-1]
        targets = tokens[:, 1:].flatten()
        loss, _ = linear_cross_entropy(h_BTD.flatten(0, 1), last.weight, None, targets, Scoring())
        (loss / len(targets)).backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - begun)
    return {"MiB": (_peak_bytes() - before) / 2**20, "s": statistics.median(times[1:])}


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _rows(found: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    units = {"MiB": "MiB of a step, with gradients and Adam's state", "s": "seconds a step"}
    rows = []
    for unit, told in units.items():
        for way, runs in found.items():
            values = [run[unit] for run in runs]
            rows.append(
                {
                    "case": f"gpt2, width {WIDTH}, depth {DEPTH}, {ROWS} x {CONTEXT} tokens",
                    "peer": f"recompute: {way}",
                    "median": statistics.median(values),
                    "low": min(values),
                    "high": max(values),
                    "runs": values,
                    "unit": told,
                }
            )
    return rows


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--way", choices=WAYS, help="one way, in this process")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.way:
        print(json.dumps(run(asked.way, asked.threads)))
        return 0
    machine = harness.machine()
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--threads", str(asked.threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[way].append(json.loads(done.stdout))
    rows = _rows(found)
    for row in rows:
        print(f"{row['peer']:20} {row['median']:10.3f} {row['unit']}")
    if asked.json:
        result = {
            "benchmark": "recompute",
            "date": datetime.date.today().isoformat(),
            "command": f"python benchmarks/recompute.py --threads {asked.threads} --json FILE",
            "machine": machine,
            "rows": rows,
            "ratios": {},
            "failed": {},
            "versions": {},
        }
        asked.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
