from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.data.faults import Faults
from luthier.data.text.documents.division import (
    GROUP_OF,
    UNNAMED,
    Division,
    DocumentSplitSpec,
    divide,
)
from luthier.data.text.documents.spool import Spans, Spool, SpoolWriter
from luthier.errors import DataError, SpecError
from luthier.spec import parse


def spool_of(folder: Path, texts: list[str], groups: list[int] | None = None) -> Spool:
    writer = SpoolWriter(folder / "spool", Faults())
    for number, text in enumerate(texts):
        writer.add(text.encode())
        writer.end(str(number), groups[number] if groups else UNNAMED)
    return writer.close()


def split(spool: Spool, **how: object) -> Division:
    return divide(spool, DocumentSplitSpec.model_validate(how), "the data")


def texts_of(spool: Spool, spans: Spans) -> list[str]:
    data = spool.path.read_bytes()
    places = zip(spans.starts.tolist(), spans.stops.tolist(), strict=True)
    return [data[start:stop].decode() for start, stop in places]


def parts(spool: Spool, division: Division) -> dict[str, list[str]]:
    return {name: texts_of(spool, spans) for name, spans in division.splits.items()}


def test_a_single_text_is_cut_as_nanogpt_cuts_it(tmp_path: Path) -> None:
    text = "".join(map(str, range(1000)))
    spool = spool_of(tmp_path, [text])
    found = split(spool)
    cut = int(len(text) * 0.9)
    assert parts(spool, found) == {"train": [text[:cut]], "validation": [text[cut:]]}
    assert found.splits["train"].ended.tolist() == [False]
    assert found.splits["validation"].ended.tolist() == [True]
    told = {decision.place: decision.value for decision in found.decisions}
    assert told == {"data.split.by": "position", "data.split.validation": 0.1}


@given(
    texts=st.lists(st.text("ab\u00e9詩😀", min_size=1, max_size=9), min_size=3, max_size=8),
    validation=st.floats(0, 0.5),
    test=st.floats(0, 0.4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_by_position_nothing_is_lost_and_nothing_moves(
    tmp_path: Path, texts: list[str], validation: float, test: float
) -> None:
    spool = spool_of(tmp_path, texts)
    try:
        found = split(spool, by="position", validation=validation, test=test)
    except DataError:  # too little for so small a share
        return
    got = parts(spool, found)
    order = ("train", "validation", "test")
    assert "".join(text for name in order for text in got.get(name, [])) == "".join(texts)
    total = len("".join(texts).encode())
    share = len("".join(got.get("test", [])).encode()) / total
    assert share == pytest.approx(test, abs=4 / total)
    ends = sum(int(spans.ended.sum()) for spans in found.splits.values())
    assert ends == len(texts)


def test_a_seed_that_chooses_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"seed: got 3, but by: position takes the last part"):
        parse(DocumentSplitSpec, {"by": "position", "seed": 3})
    few = spool_of(tmp_path, ["one", "two", "three"])
    words = r"data\.split\.seed: got 3, but there are 3 different texts, .* the last part"
    with pytest.raises(DataError, match=words):
        split(few, seed=3)
    assert split(few, seed=3, by="documents", validation=0.5).splits["validation"].size_bytes


def many(count: int = 400) -> list[str]:
    return [f"text {number % (count // 2)}" for number in range(count)]  # each one twice


def test_by_content_equal_texts_are_on_one_side(tmp_path: Path) -> None:
    texts = many()
    spool = spool_of(tmp_path, texts)
    got = parts(spool, split(spool, test=0.1))
    assert sum(map(len, got.values())) == len(texts)
    for name in ("validation", "test"):
        assert 36 <= len(got[name]) <= 44
        assert not set(got[name]) & set(got["train"])
    assert not set(got["validation"]) & set(got["test"])


def test_by_content_the_order_of_the_texts_does_not_matter(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, many())
    got = set(parts(spool, split(spool))["validation"])
    backwards = spool_of(tmp_path, many()[::-1])
    assert set(parts(backwards, split(backwards))["validation"]) == got
    assert set(parts(backwards, split(backwards, seed=1))["validation"]) != got


def test_whole_texts_where_there_are_many(tmp_path: Path) -> None:
    found = split(spool_of(tmp_path, many()))
    told = {decision.place: decision.reason for decision in found.decisions}
    assert told["data.split.by"] == "there are 200 different texts, not fewer than 100"
    assert "a choice by hash is set apart" in told["data.split.validation"]
    few = split(spool_of(tmp_path, ["aaaa", "bbbb", "cccc"]))
    assert few.decisions[0].value == "position"


def test_the_splits_that_files_say(tmp_path: Path) -> None:
    groups = [GROUP_OF["validation"], GROUP_OF["train"], GROUP_OF["train"], GROUP_OF["test"]]
    spool = spool_of(tmp_path, ["v", "a", "b", "t"], groups)
    found = split(spool)
    assert parts(spool, found) == {"train": ["a", "b"], "validation": ["v"], "test": ["t"]}
    assert found.decisions == ()
    with pytest.raises(
        DataError, match=r"data.split.validation: got 0.2, but the data has 1 texts"
    ):
        split(spool, validation=0.2)


def test_a_split_that_files_do_not_say_is_taken_from_train(tmp_path: Path) -> None:
    groups = [GROUP_OF["train"]] * 3 + [GROUP_OF["test"]]
    spool = spool_of(tmp_path, ["aaaa", "bbbb", "cccc", "t"], groups)
    got = parts(spool, split(spool, validation=0.5))
    assert got == {"train": ["aaaa", "bb"], "validation": ["bb", "cccc"], "test": ["t"]}


def test_names_that_say_a_split_of_some_files_alone(tmp_path: Path) -> None:
    both = [GROUP_OF["train"], GROUP_OF["test"], UNNAMED]
    with pytest.raises(DataError, match=r"some files are called train, test, others are not"):
        split(spool_of(tmp_path, ["a", "b", "c"], both))
    essays = [GROUP_OF["test"], UNNAMED, UNNAMED]  # an essay on tests
    spool = spool_of(tmp_path, ["a", "b", "c"], essays)
    assert parts(spool, split(spool, validation=0)) == {"train": ["a", "b", "c"]}


@pytest.mark.parametrize("texts", [["x"], ["same"] * 300])
def test_too_little_to_divide(tmp_path: Path, texts: list[str]) -> None:
    spool = spool_of(tmp_path, texts)
    by = "documents" if len(texts) > 1 else "auto"
    with pytest.raises(DataError, match=r"too little to set some apart.*data.split.validation=0"):
        split(spool, by=by)
    assert set(split(spool, validation=0).splits) == {"train"}


def test_the_spool_keeps_what_it_was_given(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, ["one", "", "two", "one"])
    assert texts_of(spool, spool.spans) == ["one", "two", "one"]
    assert spool.empty == 1
    assert spool.keys[0] == spool.keys[2] != spool.keys[1]
    assert spool.boundary(1) == 1
    assert np.all(spool.spans.ended)
