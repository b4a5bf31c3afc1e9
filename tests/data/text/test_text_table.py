from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from luthier.data.faults import Faults
from luthier.data.readers.text_table import TextTableSpec
from luthier.data.text.labelled.found import FoundTexts, TextRow
from luthier.errors import DataError, SpecError
from luthier.spec import parse


def collect(path: Path, faults: Faults | None = None, **settings: object) -> FoundTexts:
    return TextTableSpec(path=str(path), **settings).collect(faults or Faults())  # type: ignore


def rows(found: FoundTexts, split: str = "train") -> list[tuple[str, str | None]]:
    return [(row.text, row.label) for row in found.parts[split]]  # type: ignore[index]


def test_one_table_is_train_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text('text,label\n"well, yes",1\n  no ,0\n')
    found = collect(tmp_path / "dev.csv")
    assert rows(found) == [("well, yes", "1"), ("no", "0")]
    assert found.recognised == f"table {tmp_path / 'dev.csv'}"
    assert found.parts["train"][0].name == "dev.csv line 2"


@pytest.mark.parametrize(
    "names",
    [
        ("train.tsv", "dev.tsv", "test.tsv"),
        ("imdb-train.tsv", "imdb_valid.tsv", "imdb.test.tsv"),
        ("train/part-0.tsv", "val/part-0.tsv", "test/part-0.tsv"),
        ("x.binary.train", "x.binary.dev", "x.binary.test"),
    ],
)
def test_splits_in_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text\tlabel\n{number}x\ta\n")
    (tmp_path / "README.md").write_text("train")
    found = collect(tmp_path)
    assert [rows(found, split) for split in ("train", "validation", "test")] == [
        [(f"{number}x", "a")] for number in range(3)
    ]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for name in names:
            packed.write(tmp_path / name, f"set/{name}")
    again = collect(tmp_path / "all.zip")
    assert [rows(again, s) for s in again.parts] == [rows(found, s) for s in found.parts]


def test_shards_of_a_split(tmp_path: Path) -> None:
    for number in (0, 1):
        (tmp_path / f"train-0000{number}-of-00002.jsonl").write_text(
            json.dumps({"text": f"t{number}", "label": number})
        )
    assert rows(collect(tmp_path)) == [("t0", "0"), ("t1", "1")]


def test_pairs_a_split_column_and_files(tmp_path: Path) -> None:
    lines = ["a,b,gold,part", "p1,h1,yes,train", "p2,h2,no,dev", "p3,h3,no,new"]
    (tmp_path / "x.csv").write_text("\n".join(lines))
    faults = Faults("skip")
    settings = {"text": ("a", "b"), "label": "gold", "split_column": "part"}
    found = collect(tmp_path / "x.csv", faults, **settings)
    assert found.parts["train"] == [TextRow("x.csv line 2", "p1", "h1", "yes")]
    assert found.parts["validation"] == [TextRow("x.csv line 3", "p2", "h2", "no")]
    assert faults.found == [("x.csv line 4", 'has the split "new"; wanted train, val or test')]


def test_files_of_splits_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(f"text,label\n{name},1\n")
    monkeypatch.chdir(tmp_path)
    spec = parse(TextTableSpec, {"files": {"train": "two.csv", "test": "one.csv"}})
    found = spec.collect(Faults())
    assert (rows(found), rows(found, "test")) == ([("two.csv", "1")], [("one.csv", "1")])
    (decision,) = found.decisions
    value = {"train": str(tmp_path / "two.csv"), "test": str(tmp_path / "one.csv")}
    assert (decision.place, decision.value) == ("data.files", value)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "", "label": 1}, 'is empty in the column "text"'),
        ({"text": " \n", "label": 1}, 'is empty in the column "text"'),
        ({"label": 1}, 'is empty in the column "text"'),
        ({"text": 5, "label": 1}, 'is 5; wanted a text in the column "text"'),
        ({"text": "a\0", "label": 1}, "holds a NUL character"),
        ({"text": "a\ud800", "label": 1}, "holds half of a surrogate pair"),
        ({"text": "a", "label": None}, "has nothing as its label; wanted a name or a whole number"),
        ({"text": "a", "label": ""}, "has nothing as its label"),
        ({"text": "a", "label": 0.5}, "has 0.5 as its label"),
        ({"text": "a"}, "has nothing as its label"),
    ],
)
def test_rows_that_cannot_be_used(tmp_path: Path, row: dict[str, object], reason: str) -> None:
    good = [{"text": "good", "label": True}, {"text": "also", "label": "x"}]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, [good[0], row, good[1]])))
    faults = Faults("skip")
    assert rows(collect(path, faults)) == [("good", "true"), ("also", "x")]
    ((place, why),) = faults.found
    assert place == "x.jsonl line 2"
    assert reason in why


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sentence,label\na,1\n")
    with pytest.raises(DataError, match=r'no column "text" \(data.text\); valid: label, sentence'):
        collect(tmp_path / "x.csv")
    with pytest.raises(DataError, match=r'did you mean "sentence"\?'):
        collect(tmp_path / "x.csv", text="sentense")
    (tmp_path / "x.csv").write_text("a fine film,1\nso so,0\n")
    with pytest.raises(DataError, match=r"If its first line holds no names, give them: data.col"):
        collect(tmp_path / "x.csv")
    assert rows(collect(tmp_path / "x.csv", columns=("text", "label")))[0] == ("a fine film", "1")


def test_places_that_are_not_clear(tmp_path: Path) -> None:
    for name in ("dev.csv", "more.dev.csv", "train.csv"):
        (tmp_path / name).write_text("text,label\na,1\n")
    with pytest.raises(DataError, match=r"has dev.csv, more.dev.csv for validation; name the file"):
        collect(tmp_path)
    (tmp_path / "train.csv").unlink()
    (tmp_path / "more.dev.csv").unlink()
    (tmp_path / "test.csv").write_text("text,label\na,1\n")
    with pytest.raises(DataError, match="has files of validation and test, but none of train"):
        collect(tmp_path)
    with pytest.raises(DataError, match="nowhere: does not exist; wanted a table"):
        collect(tmp_path / "nowhere")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.png").touch()
    with pytest.raises(DataError, match=r"sub: holds no .csv, .tsv, .*called train, val or test"):
        collect(tmp_path / "sub")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "got none of path and files; wanted one of them"),
        ({"path": "x", "text": ["a", "a"]}, "text: got a, a; wanted a column, or two different"),
        ({"path": "x", "text": ["a", "b", "c"]}, "text: got a, b, c; wanted a column, or two"),
        ({"path": "x", "delimiter": "||"}, 'delimiter: got "||"; wanted one character'),
        ({"path": "x", "columns": ["a", "a"]}, "columns: got a, a; wanted different names"),
        ({"path": "x", "classes": ["a", "a"]}, 'classes: got "a" more than once'),
        ({"path": "x", "context": 0}, "context: got 0; wanted 1 to"),
        ({"path": "x", "labels": "y"}, 'unknown setting "labels"; did you mean "label"?'),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(TextTableSpec, {"kind": "text_table", **settings})
    assert message in str(caught.value)
