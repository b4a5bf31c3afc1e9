"""Questions in every form that files have them, and what may be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luthier.data.purpose import Purpose
from luthier.data.readers.questions import QuestionsSpec
from luthier.data.recognise import recognise
from luthier.data.text.questions.prepare_questions import PreparedQuestions, prepare_questions
from luthier.data.text.questions.question_doctor import inspect_questions
from luthier.data.text.questions.question_row import Answer
from luthier.errors import DataError

PURPOSE = Purpose(learns="answers", specials=("pad", "first"))
CONTEXT = "Ada Lovelace  was born in London, in 1815. London is a town 🙂."
LONDON = CONTEXT.index("London")


def question(number: object, *answers: tuple[str, int], **more: Any) -> dict[str, Any]:
    given = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": str(number), "question": f"What is {number}?", "answers": given, **more}


def squad(*qas: dict[str, Any], context: str = CONTEXT) -> dict[str, Any]:
    paragraphs = [{"context": context, "qas": list(qas)}]
    return {"version": "1.1", "data": [{"title": "Ada", "paragraphs": paragraphs}]}


def written(path: Path, content: Any) -> Path:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


def prepared(path: Path, **settings: Any) -> PreparedQuestions:
    alone = {"split": {"validation": 0, "test": 0}, **settings}
    return prepare_questions(QuestionsSpec(path=str(path), **alone), PURPOSE)


def answers(data: PreparedQuestions) -> list[tuple[Answer, ...]]:
    return [row.answers for row in data.train.encoded.rows]


def test_the_same_questions_in_every_form(tmp_path: Path) -> None:
    nested = squad(question(1, ("Ada Lovelace", 0)), question(2, ("1815", 37), ("in 1815", 34)))
    flat = [
        {
            "id": str(number),
            "title": "Ada",
            "context": CONTEXT,
            "question": f"What is {number}?",
            "answers": {"text": list(texts), "answer_start": list(starts)},
        }
        for number, texts, starts in (
            (1, ["Ada Lovelace"], [0]),
            (2, ["1815", "in 1815"], [37, 34]),
        )
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in flat)
    pq.write_table(pa.Table.from_pylist(flat), tmp_path / "flat.parquet")
    places = [
        written(tmp_path / "nested.json", nested),
        written(tmp_path / "flat.json", flat),
        written(tmp_path / "held.json", {"version": "x", "data": flat}),
        written(tmp_path / "flat.jsonl", lines),
        tmp_path / "flat.parquet",
    ]
    found = []
    for place in places:
        spec = recognise(place, "answers")
        assert isinstance(spec, QuestionsSpec)
        data = prepared(Path(spec.path or ""))
        rows = data.train.encoded.rows
        found.append([(row.question, row.context, row.answers, row.article) for row in rows])
    assert found[0][1][2] == (Answer("1815", 37), Answer("in 1815", 34))
    assert all(one == found[0] for one in found)


def test_places_of_answers(tmp_path: Path) -> None:
    place = written(
        tmp_path / "train.json",
        squad(
            question("right", ("London", LONDON)),
            question("with spaces", ("  was born", 12)),
            question("elsewhere, once", ("1815", 3)),
            question("nowhere, beside another", ("in Rome", 5), ("1815", 37)),
            question("by another name", ("🙂", 60)),
        ),
    )
    data = prepared(place)
    assert answers(data) == [
        (Answer("London", LONDON),),
        (Answer("was born", 14),),
        (Answer("1815", 37),),
        (Answer("1815", 37),),
        (Answer("🙂", 60),),
    ]
    assert data.train.encoded.rows[3].reworded == ("in Rome",)
    told = " ".join(finding.message for finding in inspect_questions(data))
    assert "1 answer not at their answer_start: each stands once in its context" in told
    assert "1 answer at no place in the context" in told


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"id": "7", "question": "Who?"}, "has no answers; an empty list says"),
        (question(7, ("Rome", 3)), 'has the answer "Rome", which is not at character 3 and not'),
        (question(7, ("London", 3)), "is not at character 3, but at 2 other places"),
        (question(7, ("London", -1)), "is not at character -1, but at 2 other places"),
        (question(7, (" ", 3)), "has an answer without text"),
        (question(7, ("London", LONDON)) | {"question": " "}, "has a question that is empty"),
        (question(1, ("London", LONDON)), 'has the id "1" of another question'),
        (question(7) | {"answers": "London"}, "has 'London' as its answers; wanted a list"),
        (question(7) | {"answers": {"text": ["a"], "answer_start": []}}, "no lists of one length"),
    ],
)
def test_a_question_that_cannot_be_used(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    good = question(1, ("London", LONDON))
    place = written(tmp_path / "train.json", squad(good, wrong))
    with pytest.raises(DataError) as caught:
        prepared(place)
    told = str(caught.value)
    assert message in told
    assert f"train.json question {wrong['id']}" in told
    assert "data.on_error=skip" in told
    data = prepared(place, on_error="skip")
    assert len(data.train) == 1
    assert len(data.skipped) == 1
    found = inspect_questions(data)[0]
    assert found.severity == "error"
    assert "1 question cannot be used" in found.message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "", "is no JSON"),
        ("a.json", "[]", "holds no questions"),
        ("a.json", '{"data": 3}', "wanted SQuAD's"),
        ("a.json", '{"data": [{"paragraphs": 3}]}', 'article 1: has no list "paragraphs"'),
        ("a.json", '{"data": [{"paragraphs": [{"context": "a"}]}]}', "paragraph 1: has no list"),
        ("a.json", json.dumps(squad(question(1), context="")), "has a context that is empty"),
        ("a.jsonl", '{"question": "a", "context": "b"}', 'has no "answers"'),
        ("a.jsonl", '{"query": "a", "context": "b"}', 'has no "question"'),
        ("a.jsonl", "", "holds no questions"),
        ("a.jsonl", "no json", "line 1: is no JSON"),
        ("a.parquet", "no parquet", "is no usable Parquet file"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=None) as caught:
        prepared(written(tmp_path / name, content))
    assert message in str(caught.value)


def test_a_question_that_is_longer_than_the_window(tmp_path: Path) -> None:
    long = question(2, ("London", LONDON)) | {"question": "why " * 30 + "?"}
    place = written(tmp_path / "train.json", squad(question(1, ("London", LONDON)), long))
    settings = {"context": 30, "overlap": 4, "tokenizer": {"kind": "words", "least": 1}}
    with pytest.raises(DataError, match="has a question of 31 tokens, which leaves 0 of 30"):
        prepared(place, **settings)
    assert len(prepared(place, on_error="skip", **settings).train) == 1
    with pytest.raises(DataError, match=r"data.overlap: got 28; with windows of 30"):
        prepared(place, **settings | {"overlap": 28})


def test_no_answer_in_both_ways(tmp_path: Path) -> None:
    place = written(
        tmp_path / "train.json",
        squad(
            question(1, ("London", LONDON)),
            question(2, is_impossible=True, plausible_answers=[{"text": "x"}]),
            question(3),
        ),
    )
    data = prepared(place)
    assert [len(found) for found in answers(data)] == [1, 0, 0]
    assert data.target.unanswerable
    assert data.train.read(data.train.windows * 0 + 1, 0).asked[0].spans is not None
    told = " ".join(finding.message for finding in inspect_questions(data))
    assert "without an answer in their context: 67% of train questions" in told


def test_articles_are_on_one_side(tmp_path: Path) -> None:
    articles = [
        squad(question(f"{n}-1", ("London", LONDON)), question(f"{n}-2", ("London", LONDON)))[
            "data"
        ][0]
        | {"title": f"title {n}"}
        for n in range(12)
    ]
    place = written(tmp_path / "all.json", {"data": articles})
    data = prepare_questions(QuestionsSpec(path=str(place)), PURPOSE)
    sides = [
        {row.article for row in part.encoded.rows}
        for part in (data.train, data.validation, data.test)
        if part is not None
    ]
    assert len(sides) == 3
    assert sum(map(len, sides)) == 12
    reasons = [decision.reason for decision in data.decisions]
    assert any("whole articles on one side" in reason for reason in reasons)


def test_rules_by_the_script(tmp_path: Path) -> None:
    chinese = squad(question(1, ("光荣", 2)), context="由于光荣公司，成立于1978年。")
    data = prepared(written(tmp_path / "zh.json", chinese))
    assert data.target.rules == "cmrc"
    assert [d.value["kind"] for d in data.decisions if d.place == "data.tokenizer"] == [
        "characters"
    ]
    assert prepared(written(tmp_path / "zh.json", chinese), rules="squad").target.rules == "squad"


def test_tokens_that_the_question_has_too(tmp_path: Path) -> None:
    given = question(1, ("London", LONDON)) | {"question": "Where was Ada Charles BORN?"}
    place = written(tmp_path / "train.json", squad(given))
    whole = {"tokenizer": {"kind": "words", "least": 2}, "context": 30, "overlap": 2}
    for matches in (False, True):
        [one] = prepared(place, matches=matches, **whole).train.read(np.array([0]), 0).asked
        [window] = one.windows
        assert window.types is not None
        kinds = window.types[one.places].tolist()
        said = [CONTEXT[a:b] for a, b in zip(one.context.starts, one.context.ends, strict=True)]
        assert window.types[:8].tolist() == [0] * 8
        marked = [word for word, kind in zip(said, kinds, strict=True) if kind == 2]
        assert marked == (["Ada", "was", "born"] if matches else [])
        assert "Lovelace" in said  # unknown, as Charles is


@pytest.mark.real_data
def test_published_questions_as_they_lie(real_data: Path) -> None:
    folder = real_data / "extractive_qa"
    if not folder.exists():
        pytest.skip(f"no {folder}")
    counts, moved = {}, {}
    for name in (
        "cmrc2018_zh/cmrc2018_dev",
        "cmrc2018_zh/cmrc2018_trial",
        "xquad/xquad.en",
        "xquad/xquad.zh",
    ):
        data = prepared(folder / f"{name}.json", on_error="skip", tokenizer={"kind": "bytes"})
        stem = Path(name).name
        counts[stem] = (len(data.train), len(data.skipped))
        moved[stem] = [found.message.split(" ")[0] for found in data.findings]
    assert counts == {
        "cmrc2018_dev": (3219, 0),
        "cmrc2018_trial": (1000, 2),  # two of its questions are empty
        "xquad.en": (1190, 0),
        "xquad.zh": (1190, 0),
    }
    # Counted in UTF-16, some answers behind rare characters stand one place further.
    assert moved == {
        "cmrc2018_dev": ["7", "193"],
        "cmrc2018_trial": ["5"],
        "xquad.en": [],
        "xquad.zh": [],
    }
