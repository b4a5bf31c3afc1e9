"""Documents set apart for validation and test.

Dimension key, for the whole file:
    N  documents
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from luthier.data.collection import SPLITS, Split
from luthier.data.finding import counted
from luthier.data.randomness import uniforms
from luthier.data.split import SplitSpec
from luthier.data.text.documents.spool import Spans, Spool
from luthier.errors import DataError
from luthier.spec import Decision

ENOUGH_DOCUMENTS = 100
"""From so many different ones on, whole documents are set apart."""
UNNAMED = 0
GROUP_OF: dict[Split, int] = {name: number for number, name in enumerate(SPLITS, start=1)}
"""The group of the documents whose file says their split; of the others it is `UNNAMED`."""
By = Literal["documents", "position"]


class DocumentSplitSpec(SplitSpec):
    """How documents are set apart, where the files do not say it."""

    test: float = Field(default=0, ge=0, lt=1)
    """The share that measures the finished model; 0 makes no such split, as is usual where what
    counts is the loss on the validation rows."""
    by: By | Literal["auto"] = "auto"
    """documents: whole ones, by a hash of their content, so that equal ones are on one side.
    position: the first part trains, then comes what validates, then what tests; a document may
    be cut, and no seed chooses. auto: by position where there are few documents."""

    @model_validator(mode="after")
    def _seed_is_used(self) -> Self:
        if self.by == "position" and "seed" in self.model_fields_set:
            raise ValueError(
                f"seed: got {self.seed}, but by: position takes the last part, whatever the seed; "
                "leave it out, or set by: documents"
            )
        return self


@dataclass(frozen=True)
class Division:
    """The documents of each split, or the parts of them."""

    splits: Mapping[Split, Spans]
    decisions: tuple[Decision, ...]


def divide(spool: Spool, spec: DocumentSplitSpec, what: str) -> Division:
    """The given splits, and those that are made.

    Args:
        spool: Documents; their groups say which split a file's name said.
        spec: What to make.
        what: The data, for messages.

    Raises:
        DataError: If there are too few documents, a share is given for a split that is there, or
            a seed where it chooses nothing.
    """
    given = _given(spool, what)
    makes: list[Split] = []
    for name in ("test", "validation"):
        share = getattr(spec, name)
        if name not in given and share > 0:
            makes.append(name)
        elif name in given and share > 0 and name in spec.model_fields_set:
            raise DataError(
                f"data.split.{name}: got {share}, but the data has {len(given[name]):,} texts for "
                f"{name} already; leave the setting out"
            )
    if not makes:
        return Division(given, ())
    numbers = np.arange(len(spool))
    if len(given) > 1:
        numbers = np.flatnonzero(spool.groups == GROUP_OF["train"])
    shares = {name: float(getattr(spec, name)) for name in makes}
    by, decisions = _chosen(spool, spec, numbers)
    if by == "position":
        made = _by_position(spool, given["train"], shares)
    else:
        made = _by_content(spool, given["train"], numbers, shares, spec.seed)
    for name in (*makes, "train"):
        if not made[name].size_bytes:
            raise DataError(
                f"{what}: {_counted(len(numbers))}, too little to set some apart for "
                f"{makes[0]}; set data.split.{makes[0]}=0, or give more data"
            )
    for name in makes:
        if name not in spec.model_fields_set:
            part = "the last part" if by == "position" else "a choice by hash"
            decisions += (
                Decision(
                    place=f"data.split.{name}",
                    value=shares[name],
                    reason=f"the data has no {name} texts; {part} is set apart, "
                    f"{made[name].size_bytes:,} bytes",
                ),
            )
    return Division({**given, **made}, decisions)


def _given(spool: Spool, what: str) -> dict[Split, Spans]:
    """The splits that the files' names say; all is train where they do not say train."""
    named = [name for name in SPLITS if np.any(spool.groups == GROUP_OF[name])]
    if "train" not in named or len(named) == 1:
        return {"train": spool.spans}
    if np.any(spool.groups == UNNAMED):
        raise DataError(
            f"{what}: some files are called {', '.join(named)}, others are not; call all of them "
            "so, or name the files to read in data.path"
        )
    return {name: spool.spans.chosen(spool.groups == GROUP_OF[name]) for name in named}


def _chosen(
    spool: Spool, spec: DocumentSplitSpec, numbers: NDArray[np.int64]
) -> tuple[By, tuple[Decision, ...]]:
    if spec.by != "auto":
        return spec.by, ()
    different = len(np.unique(spool.keys[numbers]))
    few = different < ENOUGH_DOCUMENTS
    reason = f"there {'are' if different > 1 else 'is'} {counted(different, 'different text')}"
    reason += f", {'fewer' if few else 'not fewer'} than {ENOUGH_DOCUMENTS}"
    if few and "seed" in spec.model_fields_set:
        raise DataError(
            f"data.split.seed: got {spec.seed}, but {reason}, so that the last part is set apart, "
            "whatever the seed; leave it out, or set data.split.by=documents"
        )
    by: By = "position" if few else "documents"
    return by, (Decision(place="data.split.by", value=by, reason=reason),)


def _by_content(
    spool: Spool,
    train: Spans,
    numbers: NDArray[np.int64],
    shares: Mapping[Split, float],
    seed: int,
) -> dict[Split, Spans]:
    """Each document has a place by its hash: the first places are for test, then validation."""
    places = uniforms(seed, 0, spool.keys[numbers], "documents", 1)[:, 0]
    in_order = np.sort(places)
    made: dict[Split, Spans] = {}
    taken = np.zeros(len(places), dtype=bool)
    quota = 0
    for name, share in shares.items():
        quota += max(round(share * len(places)), 1)
        chosen = ~taken & (places <= in_order[min(quota, len(places)) - 1])
        made[name] = train.chosen(chosen)
        taken |= chosen
    made["train"] = train.chosen(~taken)
    return made


def _by_position(spool: Spool, train: Spans, shares: Mapping[Split, float]) -> dict[Split, Spans]:
    """The last part is for test, the one before it for validation."""
    made: dict[Split, Spans] = {}
    size, share, rest = train.size_bytes, 0.0, train
    for name in ("test", "validation"):
        if name in shares:
            share += shares[name]
            rest, made[name] = _cut(spool, rest, int((1 - share) * size))
    made["train"] = rest
    return made


def _cut(spool: Spool, spans: Spans, place: int) -> tuple[Spans, Spans]:
    """The spans before and behind a place, counted in their bytes; one may be cut there."""
    lengths = spans.stops - spans.starts
    ends = np.cumsum(lengths)
    first = int(np.searchsorted(ends, place, side="right"))
    if first == len(spans):
        return spans, spans.chosen(np.zeros(0, dtype=np.int64))
    inside = int(place - (ends[first] - lengths[first]))
    cut = spool.boundary(int(spans.starts[first]) + inside)
    whole = np.arange(len(spans))
    before, behind = spans.chosen(whole[: first + 1]), spans.chosen(whole[first:])
    before.stops[-1], before.ended[-1] = cut, cut == spans.stops[first]
    behind.starts[0] = cut
    return _filled(before), _filled(behind)


def _filled(spans: Spans) -> Spans:
    return spans.chosen(spans.stops > spans.starts)


def _counted(count: int) -> str:
    return f"there {'is' if count == 1 else 'are'} {counted(count, 'text')}"
