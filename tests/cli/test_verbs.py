"""Each verb on the embedded digits: what it prints, writes, and promises to programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command import DIGITS, Command
from PIL import Image
from sklearn.datasets import load_digits

import luthier as package
from luthier.cli.app import VERBS
from luthier.recipe import Recipe
from luthier.run.named_file import write_named

METRIC = {"value", "low", "high", "n"}


@pytest.fixture
def pictures(world: Path) -> list[str]:
    """Three digits as files."""
    names = []
    for row in (3, 1, 4):
        name = f"digit-{row}.png"
        pixels = (load_digits().images[row] * 255 / 16).astype(np.uint8)
        Image.fromarray(pixels).save(name)
        names.append(name)
    return names


def as_json(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(text)
    return found


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_the_verbs(luthier: Command, arguments: tuple[str, ...]) -> None:
    outcome = luthier(*arguments)
    assert outcome.code == 0
    assert outcome.err == ""
    for verb in VERBS:
        assert re.search(rf"^\W+{verb.__name__} ", outcome.out, re.MULTILINE), verb


@pytest.mark.parametrize("verb", [verb.__name__ for verb in VERBS])
def test_help_shows_an_example(luthier: Command, verb: str) -> None:
    outcome = luthier(verb, "--help")
    assert outcome.code == 0
    assert f"Example: luthier {verb}" in outcome.out


def test_new_writes_a_recipe_that_trains(luthier: Command, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    outcome = luthier("new", "image-classification", "pets", "--out", str(recipe))
    assert outcome.code == 0
    assert f"Written to {recipe}" in outcome.out
    assert recipe.read_text() in outcome.out
    out = tmp_path / "run"
    outcome = luthier("train", str(recipe), "training.epochs=1", "--out", str(out), "--json")
    assert outcome.code == 0, outcome.err
    assert as_json(outcome.out)["run"] == str(out)


def test_new_replaces_only_when_asked(luthier: Command, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("mine\n")
    assert luthier("new", "classify", "digits", "--out", str(recipe)).code == 2
    assert recipe.read_text() == "mine\n"
    assert luthier("new", "classify", "digits", "--out", str(recipe), "--overwrite").code == 0
    assert Recipe.read(recipe).data.kind == "digits"


@pytest.mark.parametrize("columns", ["20", "200"])
def test_design(luthier: Command, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    outcome = luthier("design", "digits.yaml")
    assert outcome.code == 0
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line.strip()}
    first = " ".join(rows["model.layers[0]"].split())
    assert first == "model.layers[0] conv an image (4, 6, 6) 40 2.59 k 832 B"
    dense, head = 36 * 16 + 16, 16 * 10 + 10
    assert f" {dense} " in rows["model.layers[3]"]
    assert f" {head} " in rows["model.head[0]"]
    assert f" {40 + dense + head} " in rows["total"]


def test_design_for_programs(luthier: Command) -> None:
    found = json.loads(luthier("design", "digits.yaml", "--json").out)
    assert [row["place"] for row in found["rows"]][:2] == ["model.layers[0]", "model.layers[1]"]
    assert found["rows"][0]["gives"] == {"form": "image", "shape": [4, 6, 6]}
    assert found["total"]["parameters"] == sum(row["parameters"] for row in found["rows"])


def test_design_draws(luthier: Command, tmp_path: Path) -> None:
    drawing = tmp_path / "net.svg"
    outcome = luthier("design", "digits.yaml", "--draw", str(drawing))
    assert outcome.code == 0
    assert f"Drawn: {drawing}" in outcome.out
    root = ElementTree.fromstring(drawing.read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_check(luthier: Command) -> None:
    outcome = luthier("check", "digits.yaml")
    assert outcome.code == 0
    assert "240 train, 30 validation, 30 test; 10 classes" in outcome.out


def test_check_for_programs(luthier: Command) -> None:
    found = as_json(luthier("check", "digits.yaml", "--json").out)
    assert found["splits"] == {"train": 240, "validation": 30, "test": 30}
    assert found["classes"] == 10
    assert isinstance(found["findings"], list)


def test_check_finds_what_must_be_mended(luthier: Command) -> None:
    outcome = luthier("check", "digits.yaml", "data={kind: image_folder, path: corrupt}", "--json")
    assert outcome.code == 2
    found = json.loads(outcome.out)
    errors = [item for item in found["findings"] if item["severity"] == "error"]
    assert any("0.png" in file for item in errors for file in item["files"])


def test_train(luthier: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    outcome = luthier("train", "digits.yaml", "training.epochs=1", "--out", str(out))
    assert outcome.code == 0
    assert re.search(r"Done: digits: \d+\.\d\s% accuracy on 30 test images", outcome.out)
    assert f"The report: {out}/report.html" in outcome.out
    assert "step 8 of 8: done" in outcome.err
    for name in ("recipe.yaml", "resolved.yaml", "metrics.jsonl", "report.html"):
        assert (out / name).stat().st_size
    assert (out / "model" / "model.safetensors").exists()
    again = luthier("train", "digits.yaml", "training.epochs=2", "--out", str(out), "--resume")
    assert again.code == 0
    assert "step 16 of 16" in again.err
    anew = luthier("train", "digits.yaml", "training.epochs=1", "--out", str(out), "--overwrite")
    assert anew.code == 0


def test_train_for_programs(luthier: Command, tmp_path: Path) -> None:
    outcome = luthier("train", "digits.yaml", "--out", str(tmp_path / "run"), "--json")
    found = json.loads(outcome.out)
    assert outcome.err == ""
    assert found["steps"] == 16
    assert found["split"] == "test"
    assert set(found["metrics"]["accuracy"]) == METRIC


def test_evaluate(luthier: Command) -> None:
    outcome = luthier("evaluate", "digits")
    assert outcome.code == 0
    assert "digits, on its test split" in outcome.out
    assert re.search(r"^accuracy +0\.\d{4} +0\.\d{4} to 0\.\d{4} +30$", outcome.out, re.MULTILINE)


def test_evaluate_for_programs(luthier: Command) -> None:
    found = json.loads(luthier("evaluate", "runs/digits", "--json").out)
    assert found.keys() == {"run", "split", "metrics", "notes"}
    assert next(iter(found["metrics"])) == "accuracy"
    for metric in found["metrics"].values():
        assert metric.keys() == METRIC
        assert metric["low"] <= metric["value"] <= metric["high"]
        assert metric["n"] == 30
    trained = json.loads(Path("runs/digits/evaluation/test.json").read_text())
    assert trained["metrics"]["accuracy"] == found["metrics"]["accuracy"]


@pytest.mark.parametrize(("split", "rows"), [("train", 240), ("validation", 30)])
def test_evaluate_another_split(luthier: Command, split: str, rows: int) -> None:
    found = json.loads(luthier("evaluate", "other", "--split", split, "--json").out)
    assert found["split"] == split
    assert found["metrics"]["accuracy"]["n"] == rows
    assert Path(f"runs/other/evaluation/{split}.parquet").exists()


def test_predict(luthier: Command, pictures: list[str]) -> None:
    outcome = luthier("predict", "digits", *pictures)
    assert outcome.code == 0
    positions = [outcome.out.index(name) for name in pictures]
    assert positions == sorted(positions)
    assert len(re.findall(r"\d+\.\d%", outcome.out)) == 3 * len(pictures)


def test_predict_for_programs(luthier: Command, pictures: list[str]) -> None:
    asked = [pictures[0], pictures[1], pictures[0]]
    outcome = luthier("predict", "digits", *asked, "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 0
    assert [item["input"] for item in found] == asked
    assert found[0] == found[2]
    classes = {str(digit) for digit in range(10)}
    for item in found:
        assert item.keys() == {"input", "label", "probability", "top"}
        assert item["label"] in classes
        assert item["top"][0] == {"label": item["label"], "probability": item["probability"]}
        likely = [other["probability"] for other in item["top"]]
        assert likely == sorted(likely, reverse=True)
        assert len(likely) == 3
    in_python = package.load("runs/digits").predict(asked)
    assert in_python == found


def test_predict_top_and_folders(luthier: Command) -> None:
    found = json.loads(luthier("predict", "digits", "pets/cat", "--top", "1", "--json").out)
    assert [item["input"] for item in found] == [f"pets/cat/{row}.png" for row in range(6)]
    assert all(len(item["top"]) == 1 for item in found)


def test_report(luthier: Command, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    outcome = luthier("report", "digits", "--out", str(page))
    assert outcome.code == 0
    assert f"The report: {page}" in outcome.out
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "accuracy" in text
    assert not re.search(r"""(src|href)=["'](https?:)?//""", text)


def test_report_of_two_runs(luthier: Command, tmp_path: Path) -> None:
    page = tmp_path / "pair.html"
    found = as_json(luthier("report", "digits", "other", "--out", str(page), "--json").out)
    assert found == {"report": str(page)}
    assert "other" in page.read_text()


def test_schema(luthier: Command, tmp_path: Path) -> None:
    printed = luthier("schema")
    assert printed.code == 0
    found = json.loads(printed.out)
    assert set(found["required"]) == {"name", "task", "data"}
    assert found["additionalProperties"] is False
    path = tmp_path / "recipe.schema.json"
    outcome = luthier("schema", "--out", str(path))
    assert f"# yaml-language-server: $schema={path}" in outcome.out
    assert json.loads(path.read_text()) == found


def test_doctor(luthier: Command) -> None:
    outcome = luthier("doctor")
    assert outcome.code == 0
    assert "torch" in outcome.out
    found = json.loads(luthier("doctor", "--json").out)
    assert found["software"]["torch"]
    assert found["cpu"]["cores"] >= 1


def test_ctrl_c_with_nothing_to_save(luthier: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recipe, "read", interrupted)
    outcome = luthier("design", "digits.yaml")
    assert outcome.code == 130
    assert outcome.err == "error: stopped; there was nothing to save\n"


def test_what_the_disk_says_is_the_message(
    luthier: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "secret.yaml")

    monkeypatch.setattr(Recipe, "read", refused)
    outcome = luthier("design", "digits.yaml")
    assert (outcome.code, outcome.err) == (1, "error: cannot use secret.yaml: Permission denied\n")


def test_a_named_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for text in ("first", "secönd"):
        write_named(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_the_world_is_what_the_tests_think(world: Path) -> None:
    assert Path("digits.yaml").read_text() == DIGITS
