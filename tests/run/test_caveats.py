"""What a reader of scores is told: where unknown tokens make bits per byte better than they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import luthier
from luthier.cli.app import app
from luthier.evaluation.storage import read_evaluation
from luthier.recipe import Recipe

KNOWN = [f"the {one} saw the {other}" for one in ("cat", "dog", "sun") for other in ("sea", "hen")]


def recipe(folder: Path, test: list[str], **task: Any) -> Recipe:
    """Of texts whose words are the tokens, measured on other ones."""
    folder.mkdir()
    (folder / "train.txt").write_text("\n".join(KNOWN * 2) + "\n")
    (folder / "test.txt").write_text("\n".join(test) + "\n")
    causal = task.get("objective") != "masked"
    return Recipe.of(
        {
            "name": "small",
            "task": {"kind": "language"} | task,
            "data": {
                "kind": "text",
                "path": str(folder),
                "document": "line",
                "context": 8,
                "tokenizer": {"kind": "words", "least": 1},
                "split": {"validation": 0},
            },
            "model": {
                "layers": [
                    {"kind": "tokens", "width": 8},
                    {"kind": "attention", "heads": 2, "causal": causal},
                ]
            },
            "training": {"steps": 2, "batch_size": 4},
            "placement": {"threads": 1},
        }
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def test_unknown_tokens_are_told(tmp_path: Path) -> None:
    """By the report, by evaluate, and by what evaluate leaves."""
    given = recipe(tmp_path / "texts", ["the zebra saw the quagga", "a zebra", *KNOWN])
    run = luthier.train(given, out=tmp_path / "run")
    split, found = run.evaluate()
    [note] = found.notes
    assert split == "test"
    assert note.startswith("4 of ")
    assert "test tokens (" in note
    assert "are unknown to the tokenizer" in note
    assert read_evaluation(run.directory.evaluation, "test").notes == (note,)
    assert note in run.directory.report.read_text()
    said = CliRunner().invoke(app, ["evaluate", str(tmp_path / "run")])
    assert "warning: 4 of " in said.output
    assert run.evaluate("train")[1].notes == ()


def test_where_nothing_is_unknown_nothing_is_told(tmp_path: Path) -> None:
    given = recipe(tmp_path / "texts", KNOWN)
    run = luthier.train(given, out=tmp_path / "run")
    assert run.evaluate()[1].notes == ()
    assert "unknown to the tokenizer" not in run.directory.report.read_text()


def test_without_bits_per_byte_nothing_is_told(tmp_path: Path) -> None:
    given = recipe(tmp_path / "texts", ["the zebra saw the quagga"], objective="masked")
    evaluation = luthier.train(given, out=tmp_path / "run").evaluate()[1]
    assert "bits_per_byte" not in evaluation.metrics
    assert evaluation.notes == ()
