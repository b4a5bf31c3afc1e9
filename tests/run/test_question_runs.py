"""Runs that learn to extract answers: by heart, stopped and resumed, in use, on a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_support import equal, weights

import luthier
from luthier.cli.predicted import print_predictions
from luthier.errors import DataError, InputError
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.run.directory import RunDirectory
from luthier.run.report import write_report
from luthier.run.starter import starter_recipe
from luthier.training.events import Event, Logged, Saved

TOWNS = ("Rome", "Oslo", "Lima", "Cairo", "Delhi", "Quito")
NAMES = ("Ann", "Bob", "Eve", "Dan", "Mia", "Leo")


class Killed(BaseException):
    """What nothing catches."""


def article(number: int) -> dict[str, Any]:
    """People and where they live; of one of them the context says nothing."""
    context, qas = "", []
    for place in range(3):
        name, town = NAMES[(number + place) % 6], TOWNS[(number * 5 + place) % 6]
        context += f"{name} lives  in {town}. "
        start = len(context) - len(town) - 2
        qas.append(
            {
                "id": f"{number}-{place}",
                "question": f"Where does {name} live?",
                "answers": [{"text": town, "answer_start": start}],
            }
        )
    absent = NAMES[(number + 4) % 6]
    qas.append({"id": f"{number}-x", "question": f"Where does {absent} live?", "answers": []})
    return {"title": f"{number}", "paragraphs": [{"context": context, "qas": qas}]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("questions") / "all.json"
    place.write_text(json.dumps({"data": [article(number) for number in range(10)]}))
    return place


def recipe(data: Path, *overrides: str) -> Recipe:
    given = {
        "name": "towns",
        "task": {"kind": "extract"},
        "data": {"kind": "questions", "path": str(data), "context": 16, "overlap": 3},
        "model": {
            "layers": [
                {"kind": "tokens", "width": 16, "types": 2},
                {"kind": "recurrent", "cell": "gru", "width": 16, "bidirectional": True},
                {"kind": "dropout", "rate": 0.1},
            ]
        },
        "optimizer": {"kind": "adamw", "learning_rate": 0.02},
        "training": {
            "epochs": 2,
            "batch_size": 8,
            "accumulate": 2,
            "seed": 5,
            "keep_best": True,
            "checkpoint_every_steps": 2,
        },
        "placement": {"threads": 1},
    }
    return Recipe.of(given, overrides)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> luthier.Run:
    return luthier.train(recipe(data), out=tmp_path_factory.mktemp("run") / "towns")


def test_resume_is_bit_exact(data: Path, run: luthier.Run, tmp_path: Path) -> None:
    def killed(event: Event) -> None:
        if isinstance(event, Saved | Logged) and event.step >= 4:
            raise Killed

    out = tmp_path / "run"
    with pytest.raises(Killed):
        luthier.train(recipe(data), out=out, resume=True, hooks=(killed,))
    luthier.train(recipe(data), out=out, resume=True)
    assert equal(weights(out), weights(run.directory.path))


def test_answers_are_learned_by_heart(data: Path, tmp_path: Path) -> None:
    settings = ("training.epochs=80", "data.limit=8", "data.split.validation=0")
    plain = (
        "data.context=40",
        "data.split.test=0",
        "training.keep_best=false",
        "model.layers[2].rate=0.0",
    )
    whole = recipe(data, *settings, *plain)
    learned = luthier.train(whole, out=tmp_path / "run")
    _, found = learned.evaluate("train")
    assert found.metrics["f1"].value > 0.95


def test_the_threshold_is_that_of_the_validation_split(run: luthier.Run) -> None:
    threshold = run.target.threshold  # type: ignore[union-attr]
    _, found = run.evaluate("validation")
    best = run.task.settled(found.columns)
    assert best.threshold == threshold
    assert found.details == {"rules": "squad", "threshold": threshold}


def test_predictions_are_characters_of_the_context(run: luthier.Run, tmp_path: Path) -> None:
    context = "Ann lives  in Oslo 🙂. Bob lives in  Rome, they say; Eve lives in Lima or in Rome."
    pair = ("Where does Bob live?", context)
    lines = tmp_path / "questions.txt"
    lines.write_text(
        f"{pair[0]}\t{context}\n\n" + json.dumps({"question": "Who?", "context": "Ann."})
    )
    squad = tmp_path / "questions.json"
    squad.write_text(json.dumps({"data": [article(3)]}))
    rows = tmp_path / "questions.jsonl"
    rows.write_text(json.dumps({"question": pair[0], "context": context}))
    found = run.predict([pair, f"{pair[0]}\t{context}", lines, squad, rows], top=2)
    assert len(found) == 2 + 2 + 4 + 1
    assert found[0] == found[1] == found[2] == found[8]
    assert found[0]["input"] == pair[0]
    assert found[3]["input"] == "Who?"
    for span in found[0]["top"]:
        assert context[span["start"] : span["end"]] == span["text"]
    json.dumps(found)


def test_answers_are_shown_once(run: luthier.Run, capsys: pytest.CaptureFixture[str]) -> None:
    print_predictions(run.predict([("Who?", "Ann lives in Oslo.")]), "text")
    head = capsys.readouterr().out.splitlines()[0].split()
    assert head == ["text", "answer", "characters", "probability"]


def test_what_cannot_be_asked(run: luthier.Run) -> None:
    for given, message in (
        ("no tab", "got one text, 'no tab'; wanted a question and its context"),
        ("\ta context", "has a question that is empty"),
        ("a question\t ", "has a context that is empty"),
        ('{"question": "who?"}', "wanted {"),
        ("{no json", "is no JSON"),
        ("why " * 20 + "\t" + "so " * 20, "has a question of 20 tokens, which leaves 0 of 16"),
    ):
        with pytest.raises(DataError, match=r"inputs\[1\]") as caught:
            run.predict([("Who?", "Ann."), given])
        assert message in str(caught.value)


def test_the_page_shows_the_worst_mistakes(run: luthier.Run) -> None:
    page = write_report([run.directory.path]).read_text()
    columns = run.evaluate("test")[1].columns
    row = int(columns["f1"].argmin())
    assert columns["f1"][row] < 1
    assert str(columns["question"][row]) in page
    assert str(columns["name"][row]) in page
    assert "Worst mistakes" in page
    assert "Exact match" in page


def test_checked(data: Path) -> None:
    checked = check_recipe(recipe(data))
    told = " ".join(finding.message for finding in checked.findings)
    assert "40 train questions about 6 contexts" in checked.recognised
    assert "without an answer in their context: 25% of train" in told
    assert "several windows of 16 tokens" in told
    assert not checked.errors


def test_a_starter_recipe_is_a_recipe(data: Path, tmp_path: Path) -> None:
    text, _ = starter_recipe("question-answering", str(data))
    place = tmp_path / "all.yaml"
    place.write_text(text)
    made = Recipe.read(place, ["training.epochs=1", "data.limit=20"])
    assert made.task.kind == "extract"
    run = luthier.train(made, out=tmp_path / "run")
    assert not [d for d in RunDirectory(tmp_path / "run").read_decisions() if d.value == "auto"]
    assert run.task_name == "extract"


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("{kind: classify}", "has questions with their answers, but the task learns a label"),
        ("{kind: tag}", "has questions with their answers, but the task learns a tag"),
    ],
)
def test_another_task_on_questions(data: Path, tmp_path: Path, task: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        luthier.train(recipe(data, f"task={task}"), out=tmp_path / "run")
    assert message in str(caught.value)


def test_other_data_for_answers(tmp_path: Path) -> None:
    given = {"name": "x", "task": {"kind": "extract"}, "data": {"kind": "digits"}}
    with pytest.raises(InputError, match="where a context answers a question"):
        luthier.train(Recipe.of(given), out=tmp_path / "run")


def test_marked_matches_go_along(data: Path, tmp_path: Path) -> None:
    """To other data that is measured on, and to a run that starts from it."""
    marked = recipe(data, "data.matches=true", "model.layers[0].types=3", "training.epochs=1")
    run = luthier.train(marked, out=tmp_path / "run")
    plain = recipe(data, "data.split.test=0", "data.split.validation=0", "training.epochs=1")
    _, own = run.evaluate("train")
    _, found = run.evaluate("train", on=recipe(data))
    assert found.metrics == own.metrics
    going = plain.with_values({"start": str(tmp_path / "run"), "model": None})
    going = going.with_values({"training.keep_best": False})
    luthier.train(going, out=tmp_path / "going")
    decided = RunDirectory(tmp_path / "going").read_resolved().data
    assert decided.matches is True  # type: ignore[union-attr]
