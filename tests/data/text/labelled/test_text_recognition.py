from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from luthier.data.readers.clinc import ClincSpec
from luthier.data.readers.conll import ConllSpec
from luthier.data.readers.snips import SnipsSpec
from luthier.data.readers.table import ImageTableSpec
from luthier.data.readers.text_folder import TextFolderSpec
from luthier.data.readers.text_lines import TextLinesSpec
from luthier.data.readers.text_table import TextTableSpec
from luthier.data.recognise import recognise
from luthier.errors import DataError
from luthier.spec import plain

CONLL = "EU B-ORG\nrejects O\n\nPeter B-PER\n"
CLINC = json.dumps({"train": [], "val": [], "test": []})
NO_HEADER = "".join(f"task\tsentence number {n} of them\t{'ab'[n % 2]}\n" for n in range(40))
PAIRS = '{"premise": "a", "hypothesis": "b", "gold": 1, "label": 1}'


@pytest.mark.parametrize(
    ("files", "cls", "settings"),
    [
        ({"x.csv": "id,Review,Sentiment\n1,good,p\n"}, TextTableSpec, ("Review", "Sentiment")),
        ({"train.jsonl": PAIRS, "dev.jsonl": PAIRS}, TextTableSpec, (["premise", "hypothesis"],)),
        ({"train.tsv": NO_HEADER}, TextTableSpec, (["column_1", "text", "label"],)),
        ({"x.train": "1 good\n0 bad\n", "x.dev": "1 so\n"}, TextTableSpec, (" ",)),
        ({"x.txt": "__label__up good\n__label__down no\n"}, TextTableSpec, (["label", "text"],)),
        ({"train.conll": CONLL, "dev.conll": CONLL}, ConllSpec, ()),
        ({"a.test.annotated": CONLL, "a.train": CONLL}, ConllSpec, ()),
        ({"x.jsonl": '{"tokens": ["a"], "ner_tags": [0]}'}, ConllSpec, ()),
        ({"data_full.json": CLINC, "domains.json": "{}"}, ClincSpec, ()),
        ({"x.json": CLINC}, ClincSpec, ()),
        ({"Go/train_Go_full.json": "{}", "Go/validate_Go.json": "{}"}, SnipsSpec, ()),
        ({"train/a/1.txt": "x", "train/b/1.txt": "x", "t.vocab": ""}, TextFolderSpec, ()),
        ({"a/1.txt": "x", "b/1.txt": "x"}, TextFolderSpec, ()),
        ({"rt.pos": "x", "rt.neg": "y", "README.txt": "z"}, TextLinesSpec, ()),
        ({"metadata.csv": "file_name,label\na.png,1\n"}, ImageTableSpec, ()),
    ],
)
def test_what_is_in_the_files(
    tmp_path: Path, files: dict[str, str], cls: type, settings: tuple[object, ...]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    found = recognise(tmp_path)
    assert type(found) is cls
    values = list(plain(found).values())
    assert all(setting in values for setting in settings)
    if len(files) == 1 and cls is not ImageTableSpec:
        assert type(recognise(tmp_path / next(iter(files)))) is cls


def test_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for name in ("set/rt.pos", "set/rt.neg", "set/README.txt"):
            packed.writestr(name, "x")
    found = recognise(tmp_path / "x.zip")
    assert found == TextLinesSpec(path=str(tmp_path / "x.zip"))
    assert recognise(tmp_path) == found  # the only file of a folder


@pytest.mark.parametrize("text", ["just a story\nof two lines\n", "", "1 a\n2\n", "text\nonly\n"])
def test_other_texts_have_no_labels(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.log").write_text(text)
    with pytest.raises(DataError, match="is nothing that is known"):
        recognise(tmp_path / "x.log")
