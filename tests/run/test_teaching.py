"""Runs that learn from a teacher."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from run_support import SMALL, small

import luthier as package
from luthier.errors import InputError, SpecError
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.run.finished import Run
from luthier.run.report import write_report


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "teacher"
    return package.train(small("training.epochs=12"), out=out)


def taught(teacher: Run, *overrides: str, **settings: Any) -> Recipe:
    distill = {"teacher": str(teacher.directory.path), **settings}
    return Recipe.of({**SMALL, "name": "student", "distill": distill}, overrides)


def test_a_teacher_of_pictures(teacher: Run, tmp_path: Path) -> None:
    """A student that sees no labels comes to know the digits."""
    recipe = taught(teacher, "training.epochs=16", weight=1.0)
    run = package.train(recipe, out=tmp_path / "student")
    assert run.summary()["metrics"]["accuracy"]["value"] > 0.3
    logged = [row for row in run.directory.read_metrics() if row["event"] == "logged"]
    assert logged[-1]["loss_parts"]["teacher"] == pytest.approx(logged[-1]["loss"], rel=1e-5)
    assert logged[-1]["loss"] < logged[0]["loss"]
    assert run.evaluate()[1].metrics["accuracy"].value > 0.3


def test_a_teacher_is_found_from_anywhere(
    teacher: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(teacher.directory.path.parent)
    recipe = Recipe.of({**SMALL, "distill": {"teacher": "teacher"}}, ["training.epochs=1"])
    run = package.train(recipe, out=tmp_path / "student")
    decided = {found.place: found.value for found in run.directory.read_decisions()}
    assert decided["distill.teacher"] == str(teacher.directory.path)


def text_run(folder: Path, name: str, **sections: Any) -> Recipe:
    path = folder / "tale.txt"
    path.write_text("".join(f"the cat {n % 7} saw the dog {n % 5}\n" for n in range(300)))
    data = {"kind": "text", "path": str(path), "document": "line", "context": 16}
    recipe = {
        "name": name,
        "task": {"kind": "language"},
        "data": {**data, **sections.pop("data", {})},
        "model": {"kind": "llama", "width": 16, "depth": 1, "heads": 2},
        "optimizer": {"kind": "adam", "learning_rate": 0.01},
        "training": {"steps": 20, "batch_size": 8, "seed": 1},
        "placement": {"threads": 1},
    }
    return Recipe.of({**recipe, **sections})


def test_a_teacher_of_texts(teacher: Run, tmp_path: Path) -> None:
    big = package.train(text_run(tmp_path, "big"), out=tmp_path / "big")
    place = str(big.directory.path)
    run = package.train(
        text_run(tmp_path, "taught", distill={"teacher": place}), out=tmp_path / "taught"
    )
    assert run.summary()["metrics"]["loss"]["value"] < 2.5
    other = text_run(
        tmp_path, "x", distill={"teacher": place}, data={"tokenizer": {"kind": "bytes"}}
    )
    with pytest.raises(SpecError, match="whose tokenizer is another one"):
        package.train(other, out=tmp_path / "other")
    wrong = {"teacher": str(teacher.directory.path)}
    with pytest.raises(SpecError, match="which learned classify; wanted a teacher of language"):
        package.train(text_run(tmp_path, "x", distill=wrong), out=tmp_path / "wrong")


NOUNS = ("cat", "dog", "sun", "sea")
ROWS = [
    (f"the {one} saw the {other}", "ab"[(i + j) % 2])
    for i, one in enumerate(NOUNS)
    for j, other in enumerate(NOUNS)
]


def labels(folder: Path, name: str, layers: list[dict[str, Any]], **sections: Any) -> Recipe:
    (folder / "rows.csv").write_text("text,label\n" + "".join(f"{t},{y}\n" for t, y in ROWS * 3))
    data = {"kind": "text_table", "path": str(folder / "rows.csv"), "context": 12}
    recipe = {
        "name": name,
        "task": {"kind": "classify"},
        "data": {**data, **sections.pop("data", {})},
        "model": {"layers": layers},
        "training": {"steps": 8, "batch_size": 8, "seed": 1},
        "placement": {"threads": 1},
    }
    return Recipe.of({**recipe, **sections})


def test_a_student_reads_texts_as_its_teacher_does(tmp_path: Path) -> None:
    """It takes the tokenizer and the framing, and another framing is refused."""
    tokens: dict[str, Any] = {"kind": "tokens", "width": 8}
    attention = {"kind": "attention", "heads": 2, "causal": False}
    framed = {"tokenizer": {"kind": "words", "least": 1}, "first": True}
    positions = tokens | {"position": "learned"}
    big = labels(tmp_path, "big", [positions, attention, {"kind": "global_pool"}], data=framed)
    teacher = package.train(big, out=tmp_path / "big").directory.path
    small_one = [tokens, {"kind": "global_pool"}]
    distill = {"teacher": str(teacher)}
    recipe = labels(tmp_path, "taught", small_one, distill=distill)
    run = package.train(recipe, out=tmp_path / "taught")
    decided = {found.place: found for found in run.directory.read_decisions()}
    path = str(teacher / "model" / "tokenizer.json")
    assert decided["data.tokenizer"].value == {"kind": "file", "path": path}
    assert decided["data.tokenizer"].reason == "the one that the teacher has"
    assert decided["data.first"].value is True
    assert run.inputs.files() == package.load(teacher).inputs.files()
    assert (run.directory.reference / "manifest.json").exists()
    again = package.train(run.directory.resolved, out=tmp_path / "again")
    assert again.summary()["metrics"] == run.summary()["metrics"]
    for change, message in {
        "data.first=false": "between a first token and a separator; set data.first: true",
        "data.context=16": "which can read 12 tokens; set data.context: 12",
    }.items():
        with pytest.raises(SpecError, match=message):
            check_recipe(Recipe.of(recipe.model_dump(exclude_unset=True), [change]))
    shutil.rmtree(teacher)  # a finished student needs it no more
    assert run.evaluate()[1].metrics["accuracy"].value >= 0
    write_report([run.directory.path])


def test_teachers_that_do_not_fit(teacher: Run, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="whose inputs are made otherwise"):
        check_recipe(taught(teacher, "data.limit=150"))
    with pytest.raises(SpecError, match=r"task\.class_weights"):
        check_recipe(taught(teacher, "task.class_weights=balanced"))
    with pytest.raises(InputError, match="no run"):
        check_recipe(taught(teacher, "distill.teacher=nobody"))
    assert json.loads(teacher.directory.facts.read_text())
