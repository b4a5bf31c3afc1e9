from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest

from luthier.data.purpose import Purpose
from luthier.data.readers.conll import ConllSpec
from luthier.data.readers.text_table import TextTableSpec
from luthier.data.reading import read_inputs
from luthier.data.split import SplitSpec
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.labelled.prepare_texts import prepare_texts
from luthier.data.text.tokens.symbols import CharactersSpec, WordsSpec
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.errors import DataError

TOKENIZER = train_tokenizer(CharactersSpec(), ["abcdefgh .,"], specials=["separator", "pad"])


def inputs(**form: object) -> TextInputs:
    return TextInputs(TOKENIZER, TextForm(**{"context": 16, **form}))  # type: ignore[arg-type]


def test_the_same_tokens_as_in_training(tmp_path: Path) -> None:
    rows = [{"a": f"one {n}, yes", "b": "Two." * n, "label": n % 2} for n in range(1, 20)]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    spec = TextTableSpec(path=str(path), text=("a", "b"), tokenizer=WordsSpec(), cut="start")
    data = prepare_texts(spec, Purpose(learns="labels", specials=("first",)), seed=0)
    files = data.inputs.files()
    again = read_inputs(lambda name: files[name])
    ids = np.arange(len(data.train))
    given = [data.train.text(int(row)).replace("\n", "\t") for row in ids]
    made = again.samples(again.listed(given), 0)
    for text, trained in zip(made.texts, data.train.read(ids, 0).texts, strict=True):
        assert text.tokens.tolist() == trained.tokens.tolist()
        assert text.types is not None
        assert text.types.tolist() == trained.types.tolist()  # type: ignore[union-attr]
    assert made.labels.tolist() == [-1] * len(ids)
    assert again.files() == files
    assert made.tokenizer is not None


def test_texts_files_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.txt.gz"
    path.write_bytes(gzip.compress("\ufeffa b\r\n\n c\n".encode()))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"d\ne\n")))
    found = inputs().listed(["abc", path, "-"])
    assert found == ["abc", "a b", " c", "d", "e"]
    assert inputs().named(found[0], 0) == "abc"
    assert inputs(pairs=True).named(("a", "b"), 0) == "a\tb"
    assert inputs().samples(found, 7).ids.tolist() == [7, 8, 9, 10, 11]
    assert inputs().samples(["a"], 0).pad == TOKENIZER.special("pad")


def test_inputs_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got no text; wanted at least one"):
        inputs().listed([])
    with pytest.raises(DataError, match=r"gone.txt: does not exist; wanted a file with one text a"):
        inputs().listed([tmp_path / "gone.txt"])
    (tmp_path / "x.txt").write_bytes(b"a\n\xff\n")
    with pytest.raises(DataError, match=r"x.txt: line 2 is not UTF-8 text: byte 0xff"):
        inputs().listed([tmp_path / "x.txt"])
    (tmp_path / "x.txt").write_bytes(b"\n \n")
    with pytest.raises(DataError, match="got no text"):
        inputs().listed([tmp_path / "x.txt"])
    with pytest.raises(DataError, match=r"inputs\[4\]: is empty"):
        inputs().samples(["a", " "], 3)
    with pytest.raises(DataError, match=r"inputs\[0\]: holds half of a surrogate pair"):
        inputs().samples(["a\udcff"], 0)
    with pytest.raises(DataError, match=r"got one text, 'a b'; wanted two, with a tab between"):
        inputs(pairs=True).samples(["a b"], 0)
    with pytest.raises(DataError, match="got two texts; the model was trained on single ones"):
        inputs().samples([("a", "b")], 0)


def test_words_are_divided_as_in_training(tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    sentence = "Anna B-name\nlives O\nin O\nRome B-place\n. O\n\n"
    path.write_text(sentence * 20 + "it O\n's O\nok O\n")
    none = SplitSpec(validation=0, test=0)
    spec = ConllSpec(path=str(path), tokenizer=WordsSpec(split="spaces", least=1), split=none)
    data = prepare_texts(spec, Purpose(learns="tags"), seed=0)
    (text,) = data.inputs.samples(["Anna lives  in Rome. "], 0).texts
    assert text.written == ["Anna ", "lives  ", "in ", "Rome", "."]
    assert text.words is not None
    assert text.words.tolist() == [0, 1, 2, 3, 4]
    row = next(n for n, row in enumerate(data.train.rows) if len(row.words or ()) == 5)
    trained = data.train.read(np.array([row]), 0).texts[0]
    assert text.tokens.tolist() == trained.tokens.tolist()


def test_characters_are_words_of_texts_without_spaces() -> None:
    (text,) = inputs(words="characters").samples(["ab c"], 0).texts
    assert text.written == ["a", "b ", "c"]
    assert text.tags is None


def test_long_texts_are_cut_as_in_training() -> None:
    (text,) = inputs(context=3, cut="start").samples(["abcdef"], 0).texts
    assert TOKENIZER.decode(text.tokens) == "def"
    assert inputs(context=2**10).at_once == 16
    assert inputs(context=2**20).at_once == 1
