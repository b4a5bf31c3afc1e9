"""Pairs of texts: two columns, or two files line by line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.data.faults import Faults
from luthier.data.pairs.pair_doctor import inspect_pairs
from luthier.data.pairs.pair_inputs import PairInputs
from luthier.data.pairs.pairs import PairsSpec
from luthier.data.pairs.prepare_pairs import PreparedPairs, prepare_pairs
from luthier.data.pairs.reading import read_pairs
from luthier.data.purpose import Purpose
from luthier.errors import DataError, SpecError
from luthier.spec import parse

PURPOSE = Purpose(learns="pairs", specials=("end",))


def lines(folder: Path, name: str, texts: list[str]) -> None:
    data = "".join(f"{text}\n" for text in texts).encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def spec(path: Path, **more: Any) -> PairsSpec:
    return parse(
        PairsSpec, {"kind": "pairs", "path": str(path), "source": "en", "target": "de"} | more
    )


def found(path: Path, **more: Any) -> dict[str, list[tuple[str, ...]]]:
    pairs = read_pairs(spec(path, **more), Faults())
    return {
        split: [(row.source, *row.references) for row in rows]
        for split, rows in pairs.parts.items()
    }


def prepared(path: Path, **more: Any) -> PreparedPairs:
    return prepare_pairs(spec(path, **more), PURPOSE)


def test_two_files_for_each_split_packed_or_not(tmp_path: Path) -> None:
    lines(tmp_path, "train.en.gz", ["a dog", "a cat"])
    lines(tmp_path, "train.de.gz", ["ein Hund", "eine Katze"])
    lines(tmp_path, "val.en", ["a cow"])
    lines(tmp_path, "val.de", ["eine Kuh"])
    lines(tmp_path, "train.fr", ["un chien"])
    (tmp_path / "README").write_text("about")
    assert found(tmp_path) == {
        "train": [("a dog", "ein Hund"), ("a cat", "eine Katze")],
        "validation": [("a cow", "eine Kuh")],
    }
    chosen = {"train": "val", "test": "train"}
    assert found(tmp_path, files=chosen)["test"] == [("a dog", "ein Hund"), ("a cat", "eine Katze")]


def test_unequal_files_are_refused_with_both_counts(tmp_path: Path) -> None:
    lines(tmp_path, "train.en", ["a"] * 1200)
    lines(tmp_path, "train.de", ["b"] * 1199)
    with pytest.raises(DataError, match=r"train\.en has 1,200 lines, but .*train\.de has 1,199"):
        found(tmp_path)


def test_an_empty_side_is_left_out_and_counted(tmp_path: Path) -> None:
    lines(tmp_path, "train.en", ["a", "", "c", "  ", "e"])
    lines(tmp_path, "train.de", ["b", "d", "", "", "f"])
    pairs = read_pairs(spec(tmp_path), Faults())
    assert [row.name for row in pairs.parts["train"]] == ["train.en line 1", "train.en line 5"]
    assert pairs.empty == ["train.en line 2", "train.en line 3", "train.en line 4"]


@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl"])
def test_two_columns_of_a_table(tmp_path: Path, suffix: str) -> None:
    rows = [{"id": 1, "en": "a dog", "de": "ein Hund"}, {"id": 2, "en": "a cat", "de": "Katze"}]
    sign = "," if suffix == ".csv" else "\t"
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if suffix != ".jsonl":
        text = (
            sign.join(rows[0])
            + "\n"
            + "".join(sign.join(map(str, row.values())) + "\n" for row in rows)
        )
    (tmp_path / f"all{suffix}").write_text(text)
    assert found(tmp_path / f"all{suffix}") == {
        "train": [("a dog", "ein Hund"), ("a cat", "Katze")]
    }


def test_several_right_targets_and_columns_that_one_split_lacks(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"en": "x", "de": "y"}) + "\n")
    test = {"en": "x", "de1": "y1", "de2": "y2"}
    (tmp_path / "test.jsonl").write_text(json.dumps(test) + "\n")
    parts = found(tmp_path, target=["de", "de1", "de2"])
    assert parts == {"train": [("x", "y")], "test": [("x", "y1", "y2")]}


def test_a_table_without_names(tmp_path: Path) -> None:
    (tmp_path / "cmn.txt").write_text("Hi.\t嗨。\nRun.\t你用跑的。\n")
    assert found(tmp_path / "cmn.txt", columns=["en", "de"])["train"][1] == ("Run.", "你用跑的。")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"source": "eng"}, ("no column", "eng", "did you mean")),
        ({"target": "fr"}, ("no column", '"fr"', "data.target")),
        ({"files": {"train": "trian.tsv"}}, ("trian.tsv", "train.tsv")),
    ],
)
def test_wrong_names(tmp_path: Path, more: dict[str, Any], words: tuple[str, ...]) -> None:
    (tmp_path / "train.tsv").write_text("en\tde\na\tb\n")
    with pytest.raises(DataError) as error:
        found(tmp_path, **more)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_wrong_names_of_files(tmp_path: Path) -> None:
    lines(tmp_path, "train.en", ["a"])
    lines(tmp_path, "train.de", ["b"])
    with pytest.raises(DataError, match=r"no trian\.en .*did you mean"):
        found(tmp_path, files={"train": "trian"})
    with pytest.raises(DataError, match="holds no table"):
        found(tmp_path, target="fr")
    with pytest.raises(DataError, match="does not exist"):
        found(tmp_path / "gone")
    with pytest.raises(SpecError, match="wanted different ones"):
        spec(tmp_path, target="en")


def test_what_is_no_utf_8_stops_or_is_left_out(tmp_path: Path) -> None:
    lines(tmp_path, "train.en", ["a", "b"])
    (tmp_path / "train.de").write_bytes(b"A\n\xff\n")
    with pytest.raises(DataError, match=r"train\.de line 2: is not UTF-8"):
        prepared(tmp_path, split={"validation": 0, "test": 0})
    kept = prepared(tmp_path, split={"validation": 0, "test": 0}, on_error="skip")
    assert (len(kept.train), len(kept.skipped)) == (1, 1)


TEXTS = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=9)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_lines_are_read_or_counted(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    for side, ending in enumerate(("en", "de")):
        lines(tmp_path, f"train.{ending}", [row[side] for row in rows])
    pairs = read_pairs(spec(tmp_path), Faults())
    read = [(row.source, row.target) for row in pairs.parts["train"]]
    whole = [(a.strip(), b.strip()) for a, b in rows if a.strip() and b.strip()]
    if whole and rows[0][0][:1] != "\ufeff" and rows[0][1][:1] != "\ufeff":
        assert read == whole
    assert len(read) + len(pairs.empty) == len(rows)


def many(folder: Path, count: int = 60) -> None:
    lines(folder, "train.en", [f"number {n % 40} of all" for n in range(count)])
    lines(
        folder, "train.de", [f"Nummer {n} von allen, {'sehr ' * (n % 7)}viel" for n in range(count)]
    )


def test_what_is_written_of_one_source_is_in_one_split(tmp_path: Path) -> None:
    many(tmp_path)
    made = prepared(tmp_path)
    sides = [
        {row.source for row in part.rows}
        for part in (made.train, made.validation, made.test)
        if part
    ]
    assert len(sides) == 3
    assert not sides[0] & sides[1]
    assert not sides[2] & (sides[0] | sides[1])
    assert not any("equal to one in" in found.message for found in inspect_pairs(made))


def test_tokens_have_ends_and_what_is_cut_off_has_none(tmp_path: Path) -> None:
    many(tmp_path)
    made = prepared(tmp_path, context=4, target_context=5, split={"validation": 0, "test": 0})
    end = made.target.end
    sources = [made.train.sources[row] for row in range(len(made.train))]
    targets = [made.train.targets[row] for row in range(len(made.train))]
    assert all(tokens[-1] == end and len(tokens) <= 4 for tokens in sources)
    assert any(tokens[-1] != end for tokens in targets), "none was cut"
    assert any("cut off" in found.message for found in made.findings)
    whole = prepared(tmp_path, split={"validation": 0, "test": 0})
    assert all(whole.train.targets[row][-1] == end for row in range(len(whole.train)))


def test_one_tokenizer_or_two(tmp_path: Path) -> None:
    many(tmp_path)
    one = prepared(tmp_path)
    two = prepared(tmp_path, target_tokenizer={"kind": "characters"})
    assert one.target.one_tokenizer
    assert one.inputs.tokenizer is one.inputs.target_tokenizer
    assert not two.target.one_tokenizer
    assert two.inputs.target_tokenizer.encode(["Nu"])[0].tokens.tolist() != [0]
    for made in (one, two):
        files = made.inputs.files()
        again = PairInputs.from_files(files.__getitem__)
        assert again.files() == files
        got = again.samples(["number 3"], 0)
        assert got.sources[0].tolist() == made.inputs.samples(["number 3"], 0).sources[0].tolist()


def test_the_doctor_sees_leaks_and_two_targets(tmp_path: Path) -> None:
    lines(tmp_path, "train.en", ["a dog", "A  dog", "a cat", "same"])
    lines(tmp_path, "train.de", ["ein Hund", "der Hund", "Katze", "same"])
    lines(tmp_path, "test.en", ["a cat"])
    lines(tmp_path, "test.de", ["eine Katze"])
    told = " · ".join(
        found.message for found in inspect_pairs(prepared(tmp_path, split={"validation": 0}))
    )
    assert "1 test source equal to one in train" in told
    assert "2 pairs of equal sources with two targets" in told
    assert "1 train pair with the same text on both sides" in told
