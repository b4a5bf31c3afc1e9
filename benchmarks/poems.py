"""Bits per byte of Tang poems, by counts of characters: what recipes/tang_poems.yaml is beside.

    python benchmarks/poems.py

The same texts, split and tokens as the recipe's: a unigram, and a 5-gram with interpolated
Witten-Bell smoothing (Chen and Goodman 1999, section 2.5). The end of a poem is a token too, and
its bits count, as in the recipe's own figure.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from luthier.data.prepare import prepare
from luthier.recipe import Recipe

ROOT = Path(__file__).resolve().parents[1]
ORDER = 5


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
    """Prints both figures for the validation and the test split."""
    recipe = Recipe.read(ROOT / "recipes" / "tang_poems.yaml")
    data = prepare(recipe.data, seed=0, purpose=recipe.task.purpose())
    rows = {"train": data.train.plain(), "validation": data.validation, "test": data.test}
    for order in (1, ORDER):
        counts = Counts(order, data.signal.vocab)
        for text, _ in _texts(rows["train"]):
            counts.add(text)
        for split in ("validation", "test"):
            bits, size = 0.0, 0
            for text, bytes_ in _texts(rows[split]):
                bits -= sum(
                    math.log2(counts.probability(text, place)) for place in range(1, len(text))
                )
                size += bytes_
            print(f"{order}-gram, {split}: {bits / size:.4f} bits per byte", flush=True)
    return 0


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
