"""What a person should know about pairs of texts before training on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from luthier.data.collection import Split
from luthier.data.copies import Copied, equal_pairs
from luthier.data.finding import FILES, Finding, counted, unusable, worst_first
from luthier.data.pairs.pair_examples import PairExamples
from luthier.data.pairs.prepare_pairs import PreparedPairs, groups_of_sources

FAR = 9.0
"""Times the usual ratio of both lengths, from which on a pair may not belong together."""
LEAST_TOKENS = 10
"""Of the longer side, below which a ratio says nothing."""


def inspect_pairs(prepared: PreparedPairs) -> list[Finding]:
    """Errors, then warnings, then notes."""
    all_splits: dict[Split, PairExamples | None] = {
        "train": prepared.train,
        "validation": prepared.validation,
        "test": prepared.test,
    }
    splits = {split: examples for split, examples in all_splits.items() if examples is not None}
    return worst_first(
        [
            *unusable(prepared.skipped, "pair"),
            *prepared.findings,
            *_copies(splits),
            *(found for split, examples in splits.items() for found in _sides(split, examples)),
        ]
    )


def _copies(splits: dict[Split, PairExamples]) -> Iterator[Finding]:
    """Sources that stand in two splits, or have two targets."""
    rows = [row for examples in splits.values() for row in examples.rows]
    side = np.repeat(np.arange(len(splits)), [len(examples) for examples in splits.values()])
    _, groups = np.unique(groups_of_sources(rows), return_inverse=True)
    _, labels = np.unique([row.target for row in rows], return_inverse=True)
    copied = Copied(
        splits=list(splits),
        side=side,
        labels=labels,
        name=lambda number: rows[number].name,
        one="source",
        said="targets",
    )
    yield from copied.findings(equal_pairs(groups.reshape(-1)), "equal")


def _sides(split: str, examples: PairExamples) -> Iterator[Finding]:
    """Pairs whose sides are the same text, or of lengths that do not go together."""
    same = [row.name for row in examples.rows if row.source == row.target]
    if same:
        yield Finding(
            severity="note",
            message=f"{counted(len(same), f'{split} pair')} with the same text on both sides",
            files=tuple(same[:FILES]),
        )
    sources, targets = examples.sources.lengths, examples.targets.lengths
    ratios = targets / sources
    usual = float(np.median(ratios))
    longer = np.maximum(sources, targets) >= LEAST_TOKENS
    odd = np.flatnonzero(longer & ((ratios > FAR * usual) | (ratios < usual / FAR)))
    if len(odd):
        yield Finding(
            severity="note",
            message=f"{counted(len(odd), f'{split} pair')} with a side more than {FAR:g} times "
            "as long as usual beside the other: they may not belong together",
            files=tuple(examples.name(int(row)) for row in odd[:FILES]),
        )
