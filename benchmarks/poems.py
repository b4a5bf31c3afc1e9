"""Bits per byte of Tang poems: recipes/tang_poems.yaml beside counts of characters.

    luthier train recipes/tang_poems.yaml
    python benchmarks/poems.py runs/tang_poems --json benchmarks/results/poems.json

The same texts, split and tokens as the recipe's: a unigram, and a 5-gram with interpolated
Witten-Bell smoothing (Chen and Goodman 1999, section 2.5). The end of a poem is a token too, and
its bits count, as in the recipe's own figure.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import harness
import numpy as np

import luthier
from luthier.data.prepare import prepare
from luthier.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
ORDER = 5
SPLITS = ("validation", "test")


class Counts:
    """How often a token followed each context of up to `order - 1` tokens."""

    def __init__(self, order: int, vocab: int) -> None:
        self.order, self.vocab = order, vocab
        self.pairs: Counter[tuple[int, ...]] = Counter()
        self.totals: Counter[tuple[int, ...]] = Counter()
        self.kinds: defaultdict[tuple[int, ...], int] = defaultdict(int)

    def add(self, text: list[int]) -> None:
        """One text, begun and ended by its end token."""
        for place in range(1, len(text)):
            for length in range(min(self.order - 1, place) + 1):
                context = tuple(text[place - length : place])
                gram = (*context, text[place])
                self.kinds[context] += self.pairs[gram] == 0
                self.pairs[gram] += 1
                self.totals[context] += 1

    def probability(self, text: list[int], place: int) -> float:
        """Of the token at a place, after what is before it."""
        p = 1 / self.vocab
        for length in range(min(self.order - 1, place) + 1):
            context = tuple(text[place - length : place])
            total, kinds = self.totals[context], self.kinds.get(context, 0)
            if total:
                p = (self.pairs[(*context, text[place])] + kinds * p) / (total + kinds)
        return p


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run", type=Path, help="the finished run of the recipe")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run = luthier.load(given.run)
    rows = [_row("luthier", split, _of_run(run, split)) for split in SPLITS]
    rows += counted()
    for row in rows:
        print(f"{row['case']:24} {row['who']:8} {row['median']:.4f} bits per byte", flush=True)
    if given.json is not None:
        seconds = run.summary()["seconds"]
        found = {
            "benchmark": "poems",
            "date": datetime.date.today().isoformat(),
            "command": "python benchmarks/poems.py runs/tang_poems",
            "machine": harness.machine(),
            "seeds": [1],
            "rows": rows,
            "notes": [f"Trained in {seconds / 60:.1f} minutes."],
        }
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def counted() -> list[dict[str, Any]]:
    """The figures of the counts."""
    recipe = Recipe.read(ROOT / "recipes" / "tang_poems.yaml")
    data = prepare(recipe.data, seed=0, purpose=recipe.task.purpose())
    texts = {"train": data.train.plain(), "validation": data.validation, "test": data.test}
    rows = []
    for order in (1, ORDER):
        counts = Counts(order, data.signal.vocab)
        for text, _ in _texts(texts["train"]):
            counts.add(text)
        for split in SPLITS:
            bits, size = 0.0, 0
            for text, bytes_ in _texts(texts[split]):
                bits -= sum(
                    math.log2(counts.probability(text, place)) for place in range(1, len(text))
                )
                size += bytes_
            rows.append(_row(f"{order}-gram", split, bits / size))
    return rows


def _of_run(run: luthier.Run, split: str) -> float:
    return float(run.evaluate(split)[1].metrics["bits_per_byte"].value)


def _row(who: str, split: str, value: float) -> dict[str, Any]:
    return {
        "case": f"tang_poems, {split}",
        "who": who,
        "metric": "bits per byte",
        "median": value,
        "low": value,
        "high": value,
        "values": [value],
        "reference": "",
    }


def _texts(rows: object) -> list[tuple[list[int], int]]:
    """The tokens of each document of a split, and its bytes."""
    found = []
    for start in range(0, len(rows), 256):
        samples = rows.read(np.arange(start, min(start + 256, len(rows))), 0)
        documents = samples.documents_BS
        for row, tokens in enumerate(samples.tokens_BS.numpy()):
            of = np.zeros(len(tokens), int) if documents is None else documents[row].numpy()
            bytes_ = samples.bytes_BS[row].numpy()
            for number in range(of.max() + 1):
                mine = of == number
                found.append((tokens[mine].tolist(), int(bytes_[mine][1:].sum())))
    return found


if __name__ == "__main__":
    sys.exit(main())
