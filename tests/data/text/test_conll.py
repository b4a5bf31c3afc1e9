from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.faults import Faults
from luthier.data.readers.conll import ConllSpec
from luthier.data.readers.sentences import read_sentences
from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.found import FoundTexts
from luthier.errors import DataError, SpecError
from luthier.spec import parse

TOKENS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8
).filter(lambda token: token.strip() == token and token != "-DOCSTART-")
SENTENCES = st.lists(
    st.lists(st.tuples(TOKENS, st.sampled_from(["O", "B-a", "I-a"])), min_size=1, max_size=6),
    min_size=1,
    max_size=6,
)


def stored(text: str, name: str = "x.conll") -> Stored:
    return Stored(PurePosixPath(name), name, text.encode())


@given(SENTENCES, st.sampled_from(["\t", " ", "  "]), st.sampled_from(["\n", "\r\n"]))
def test_sentences_come_back(
    sentences: list[list[tuple[str, str]]], between: str, end: str
) -> None:
    if sentences[0][0][0].startswith("\ufeff"):
        sentences[0][0] = ("x", "O")
    lines = [
        end.join(f"{token}{between}{tag}" for token, tag in sentence) for sentence in sentences
    ]
    faults = Faults()
    found = list(read_sentences(stored((2 * end).join(lines) + end), 0, -1, faults))
    assert [list(zip(s.words, s.tags, strict=True)) for s in found] == sentences
    assert faults.found == []


def collect(path: Path, faults: Faults | None = None, **settings: object) -> FoundTexts:
    spec = ConllSpec(path=str(path), **settings)  # type: ignore[arg-type]
    return spec.collect(faults or Faults())


def test_columns_document_starts_and_splits(tmp_path: Path) -> None:
    lines = (
        "-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\n\nPeter NNP I-NP I-PER\n"
    )
    (tmp_path / "eng.train").write_text(lines)
    (tmp_path / "eng.testa").write_text("not read")
    (tmp_path / "eng.dev.iob").write_text("\ufeffA x y B-PER\r\nB x y I-PER\r\n \t \r\nC x y O")
    (tmp_path / "README.md").write_text("about train and test")
    found = collect(tmp_path)
    assert {split: len(part) for split, part in found.parts.items()} == {
        "train": 2,
        "validation": 2,
    }
    first = found.parts["train"][0]
    assert (first.words, first.tags) == (["EU", "rejects"], ["I-ORG", "O"])  # dev is no IOB1
    assert found.parts["validation"][0].name == "eng.dev.iob line 1"
    chunks = collect(tmp_path / "eng.train", tag_column=2, token_column=1)
    assert chunks.parts["train"][0].words == ["NNP", "VBZ"]
    assert chunks.parts["train"][0].tags == ["B-NP", "B-VP"]


def test_iob1_is_brought_to_bio_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("A I-x\nB I-x\nC B-x\nD O\nE I-y\n")
    found = collect(tmp_path / "a.conll")
    assert found.parts["train"][0].tags == ["B-x", "I-x", "B-x", "O", "B-y"]
    decision = next(each for each in found.decisions if each.place == "data.scheme")
    assert decision.value == "IOB1"
    assert decision.reason.endswith("; brought to BIO")
    kept = collect(tmp_path / "a.conll", scheme="BIO")
    assert kept.parts["train"][0].tags == ["I-x", "I-x", "B-x", "O", "I-y"]
    assert kept.findings[0].message.startswith("2 tags in 1 train text cannot follow the one befo")
    plain = collect(tmp_path / "a.conll", scheme="plain")
    assert plain.findings == ()


def test_positions_of_characters_are_no_text(tmp_path: Path) -> None:
    text = "\n".join(f"{word}\tO" for word in ("科0", "技1", "资0", "讯1", "310", "2"))
    (tmp_path / "a.conll").write_text(text.replace("310\t", "30\t").replace("\n2\t", "\n好0\t"))
    found = collect(tmp_path / "a.conll")
    assert found.parts["train"][0].words == list("科技资讯3好")
    assert found.parts["train"][0].text == "科技资讯3好"
    assert found.tagging is not None
    assert found.tagging.division == "characters"
    kept = collect(tmp_path / "a.conll", positions=False)
    assert kept.parts["train"][0].words[0] == "科0"
    (tmp_path / "b.conll").write_text("Room\tO\n101\tO\n")
    assert collect(tmp_path / "b.conll").parts["train"][0].words == ["Room", "101"]
    with pytest.raises(DataError, match=r"data\.positions: got true, but the tokens do not end"):
        collect(tmp_path / "b.conll", positions=True)


def test_comments_of_conllu(tmp_path: Path) -> None:
    lines = "# text = Go #1\n1\tGo\tgo\tVERB\n2\t#1\t1\tNUM\n"
    (tmp_path / "a.conllu").write_text(lines)
    found = collect(tmp_path / "a.conllu", token_column=1)
    assert found.parts["train"][0].words == ["Go", "#1"]
    assert found.tagging is not None
    assert found.tagging.scheme == "plain"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"lonely", "line 4 has 1 column, too few for a token and a tag; the whole text is left"),
        (b"\tO", "line 4 has a token that is empty"),
        (b"a\t", "line 4 has no tag"),
        (b"\xff\tO", "line 4 is not UTF-8 text: byte 0xff"),
    ],
)
def test_a_line_at_fault_leaves_out_its_text(tmp_path: Path, line: bytes, reason: str) -> None:
    (tmp_path / "a.conll").write_bytes(b"a\tO\n\nb\tO\n" + line + b"\nc\tO\n\nd\tO\n")
    faults = Faults("skip")
    found = collect(tmp_path / "a.conll", faults)
    assert [row.words for row in found.parts["train"]] == [["a"], ["d"]]
    ((place, why),) = faults.found
    assert place == "a.conll line 3"
    assert reason in why


def test_an_endless_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.data.readers.lines.LONGEST_LINE_BYTES", 2**20)
    (tmp_path / "a.conll").write_bytes(b"a" * 2**22)
    faults = Faults("skip")
    with pytest.raises(DataError, match="holds no words with tags"):
        collect(tmp_path / "a.conll", faults)
    assert faults.found[0][1].startswith("line 1 is longer than 1 MiB")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_lists_with_numbers_of_tags(tmp_path: Path, form: str) -> None:
    rows = [{"tokens": ["EU", "rejects"], "ner_tags": [1, 0]}, {"tokens": [], "ner_tags": []}]
    path = tmp_path / f"train.{form}"
    if form == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    found = collect(path, tags=("O", "B-ORG"))
    (row,) = found.parts["train"]
    assert (row.words, row.tags) == (["EU", "rejects"], ["B-ORG", "O"])
    assert collect(path).parts["train"][0].tags == ["1", "0"]
    with pytest.raises(DataError, match=r'has no "words" \(data.token_column\); valid: ner_tags, '):
        collect(path, token_column="words")


def test_lists_at_fault(tmp_path: Path) -> None:
    rows = [
        {"tokens": ["a"], "tags": ["O"]},
        {"tokens": ["a", "b"], "tags": ["O"]},
        {"tokens": ["a", " "], "tags": ["O", "O"]},
        {"tokens": "a", "tags": "O"},
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    faults = Faults("skip")
    assert len(collect(path, faults).parts["train"]) == 1
    assert [why for _, why in faults.found] == [
        "has 2 words, but 1 tags",
        "has a word that is empty",
        'has no lists "tokens" and "tags"',
    ]


def test_settings_and_places(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("\n\n")
    with pytest.raises(DataError, match=r"a.conll: holds no words with tags"):
        collect(tmp_path / "a.conll")
    with pytest.raises(DataError, match=r'columns have no names; got "x" for data.tag_column'):
        collect(tmp_path / "a.conll", tag_column="x")
    with pytest.raises(SpecError, match="got both of path and files; wanted one of them"):
        parse(ConllSpec, {"path": "a", "files": {"train": "b"}})
    with pytest.raises(SpecError, match='tags: got "O" more than once; wanted different names'):
        parse(ConllSpec, {"path": "a", "tags": ["O", "O"]})
    for name in ("train_a.conll", "train_b.conll"):
        (tmp_path / name).write_text("x O\n")
    with pytest.raises(DataError, match=r"has train_a.conll, train_b.conll for train; name the"):
        collect(tmp_path)
    one = str(tmp_path / "train_a.conll")
    found = ConllSpec.model_validate({"files": {"train": one, "test": one}}).collect(Faults())
    assert list(found.parts) == ["train", "test"]
