"""CLINC150: requests with 150 intents, and some that have none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from luthier.data.collection import Split
from luthier.data.faults import Faults
from luthier.data.readers.naming import check_names
from luthier.data.readers.place import existing
from luthier.data.readers.rows import read_json
from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.found import CutOff, FoundTexts, TextRow, label_in, problem_with
from luthier.data.text.labelled.texts import TextsSpec
from luthier.errors import DataError
from luthier.spec import Auto, Many

FILE = "data_full.json"
LISTS: dict[str, Split] = {"train": "train", "val": "validation", "test": "test"}
OUTSIDE = "oos_"


class ClincSpec(TextsSpec):
    """CLINC150's JSON: lists `train`, `val`, `test` of [text, intent], and `oos_…` beside them.

    Source:
        Larson et al. 2019 (An Evaluation Dataset for Intent Classification and Out-of-Scope
        Prediction).
    """

    kind: Literal["clinc"] = "clinc"

    path: str
    """`data_full.json`, `data_small.json` and so on, or the folder with `data_full.json`."""
    out_of_scope: Literal["leave_out", "class"] = "leave_out"
    """What becomes of requests that have none of the intents: a class of their own, `oos`, or
    none of them is read."""
    classes: Many[str] | Auto = "auto"
    """The names of the classes, in the order of their numbers."""
    first: bool | Auto = "auto"
    """Whether a token that stands for the whole text goes before it, and a separator behind it;
    auto: as the start of the run had it, else if the task asks."""
    cut: CutOff = "end"
    """What is cut off of a text that is longer than the context."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        check_names(self.classes)
        return self

    def collect(self, faults: Faults) -> FoundTexts:
        """Every request of the lists."""
        place = existing(self.path, f"{FILE}, or the folder with it")
        if place.is_dir():
            place = existing(str(place / FILE), "CLINC150's data")
        lists = read_json(Stored.at(place))
        if not is_clinc(lists):
            raise DataError(f"{place}: wanted an object with the lists {', '.join(LISTS)}")
        parts: dict[Split, list[TextRow]] = {}
        outside = 0
        for name, split in LISTS.items():
            parts[split] = _rows(lists[name], name, place, faults)
            others = _rows(lists.get(OUTSIDE + name, []), OUTSIDE + name, place, faults)
            outside += len(others)
            if self.out_of_scope == "class":
                parts[split] += others
        fate = "left out" if self.out_of_scope == "leave_out" else "a class of their own"
        return FoundTexts(
            recognised=f"CLINC150 {place} ({outside:,} out of scope {fate})", parts=parts
        )


def is_clinc(lists: Any) -> bool:
    """Whether a JSON document looks like CLINC150."""
    return isinstance(lists, dict) and all(isinstance(lists.get(name), list) for name in LISTS)


def _rows(entries: Any, name: str, place: Path, faults: Faults) -> list[TextRow]:
    rows = []
    for number, entry in enumerate(entries):
        where = f"{place.name} {name}[{number}]"
        if not isinstance(entry, list) or len(entry) != 2:
            faults.add(where, "is no [text, intent]")
            continue
        label, problem = label_in(entry[1])
        problem = problem_with(entry[0]) or problem
        if problem:
            faults.add(where, problem)
        else:
            rows.append(TextRow(where, entry[0].strip(), label=label))
    return rows
