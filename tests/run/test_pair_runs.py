"""Runs of pairs: trained, gone on with, measured, asked, reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import luthier
from luthier.checkpoint.weights import read_weights
from luthier.cli.app import app
from luthier.errors import InputError, SpecError
from luthier.evaluation.storage import read_evaluation
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.run.design import design_recipe
from luthier.training.events import Event

pytest.importorskip("sacrebleu")
WORDS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fuenf"}


def pairs(folder: Path, count: int = 30) -> None:
    """Numbers in words, in two languages."""
    generator = torch.Generator().manual_seed(0)
    sides: list[list[str]] = [[], []]
    for _ in range(count):
        length = int(torch.randint(1, 5, (), generator=generator))
        chosen = torch.randint(0, 5, (length,), generator=generator).tolist()
        for side, names in zip(sides, (list(WORDS), list(WORDS.values())), strict=True):
            side.append(" ".join(names[number] for number in chosen))
    for side, ending in zip(sides, ("en", "de"), strict=True):
        (folder / f"train.{ending}").write_text("".join(f"{text}\n" for text in side))


def recipe(folder: Path, *overrides: str, **sections: Any) -> Recipe:
    made: dict[str, Any] = {
        "name": "numbers",
        "task": {"kind": "seq2seq", "label_smoothing": 0.05, "beams": 2},
        "data": {
            "kind": "pairs",
            "path": str(folder),
            "source": "en",
            "target": "de",
            "tokenizer": {"kind": "words"},
        },
        "model": {"kind": "transformer", "width": 32, "depth": 1, "heads": 2, "dropout": 0.05},
        "optimizer": {"kind": "adam", "learning_rate": 0.003},
        "training": {
            "epochs": 60,
            "evaluate_every_epochs": 30,
            "batch_tokens": 140,
            "accumulate": 2,
            "samples": ["one two"],
            "checkpoint_every_steps": 20,
            "seed": 1,
        },
        "placement": {"threads": 1, "precision": "fp32"},
    }
    return Recipe.of({**made, **sections}, overrides)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    pairs(folder)
    luthier.train(recipe(folder), out=folder / "run")
    return folder / "run"


def test_it_learns_and_is_measured_by_what_it_writes(run: Path) -> None:
    found = luthier.load(run)
    sources, targets = (
        (run.parent / f"train.{ending}").read_text().splitlines() for ending in ("en", "de")
    )
    said = found.predict(sources, top=2)
    right = [one["output"] == target for one, target in zip(said, targets, strict=True)]
    assert sum(right) >= 0.5 * len(right), "what was trained on, most of it"
    assert said[0]["top"][0]["output"] == said[0]["output"]
    assert said[0]["top"][0]["score"] <= 0
    measured = read_evaluation(run / "evaluation", "test")
    assert measured.headline == "bleu"
    assert 0 < measured.metrics["chrf"].value <= 100
    assert len(measured.columns["reference"]) == 3
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluated = [row for row in rows if row["event"] == "evaluated"]
    assert {row["headline"] for row in evaluated} == {"loss"}
    assert evaluated[-1]["samples"]["one two"].startswith(" → ")
    page = (run / "report.html").read_text()
    assert "What it writes" in page
    assert "nrefs:1|case:mixed" in page


def test_the_verbs(run: Path, tmp_path: Path) -> None:
    def told(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.stdout

    (tmp_path / "some.en").write_text("one one\nfour\n")
    lines = [one["output"] for one in luthier.load(run).predict(["one one", "four"])]
    assert told("predict", str(run), str(tmp_path / "some.en")).splitlines() == lines
    (answer,) = json.loads(told("predict", str(run), "two", "--json", "--beams", "1"))
    assert len(answer["top"]) == 1
    assert "nrefs:1" in told("evaluate", str(run))
    found = json.loads(told("evaluate", str(run), "--json"))
    assert set(found["signatures"]) == {"bleu", "chrf"}


def test_the_test_split_is_read_the_same_by_other_beams(run: Path) -> None:
    found = luthier.load(run)
    with pytest.raises(InputError, match="wanted 1 to 64"):
        found.predict(["one"], beams=0)


def test_other_pairs_are_measured_as_its_own(run: Path, tmp_path: Path) -> None:
    found = luthier.load(run)
    pairs(tmp_path, count=12)
    on = recipe(tmp_path, "data.tokenizer={kind: characters}", "data.split={test: 0.5}")
    split, measured = found.evaluate(on=on)
    assert split == "test"
    assert measured.metrics["bleu"].value > 0
    _, own = found.evaluate(on=recipe(run.parent))
    kept = read_evaluation(run / "evaluation", "test").metrics
    assert own.metrics["loss"].value == pytest.approx(kept["loss"].value, rel=1e-6)
    words = {"kind": "text", "path": str(tmp_path / "train.en")}
    with pytest.raises(InputError, match="writes a text for each source, and data of the kind"):
        found.evaluate(on=recipe(tmp_path, data=words, task={"kind": "language"}))


def test_what_it_cannot_do_is_said(run: Path, tmp_path: Path) -> None:
    def told(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert isinstance(result.exception, InputError)
        return str(result.exception)

    said = told("generate", str(run), "--prompt", "one")
    assert "writes a text of each input, and goes on with none; use luthier predict" in said
    said = told("export", str(run), "--to", "huggingface", "--out", str(tmp_path / "out"))
    assert "is a member of no family" in said
    (tmp_path / "talk.wav").write_bytes(b"RIFF\0\0")
    said = told("predict", str(run), str(tmp_path / "talk.wav"))
    assert "talk.wav: is a picture or a sound, and the network reads texts" in said
    result = CliRunner().invoke(app, ["predict", str(run), "gone.txt"])
    assert "gone.txt: no such file, so that it is read as a text" in result.output


class StoppedError(Exception):
    """The end of a process, as of one that is killed."""


class AfterSteps:
    """Ends the training after some steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, event: Event) -> None:
        if event.step >= self.steps:
            raise StoppedError


def test_stopped_and_gone_on_with_is_never_stopped(run: Path, tmp_path: Path) -> None:
    given = Recipe.read(run / "recipe.yaml")
    with pytest.raises(StoppedError):
        luthier.train(given, out=tmp_path / "again", hooks=(AfterSteps(47),))
    luthier.train(given, out=tmp_path / "again", resume=True)
    whole, parts = (
        read_weights(path / "model" / "model.safetensors") for path in (run, tmp_path / "again")
    )
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("kind", ["gru", "lstm", "transformer"])
def test_families_have_both(tmp_path: Path, kind: str) -> None:
    pairs(tmp_path, 40)
    made = design_recipe(recipe(tmp_path, model={"kind": kind, "width": 16}))
    assert made.network.encoder is not None
    assert made.network.gives.form == "sequence"
    assert "encoder:" in made.to_yaml()


def test_wrong_moves(tmp_path: Path) -> None:
    pairs(tmp_path, 40)
    layers = {"layers": [{"kind": "tokens", "width": 8}]}
    with pytest.raises(InputError, match=r"seq2seq wants an encoder and a decoder.*transformer"):
        check_recipe(recipe(tmp_path, model=layers))
    with pytest.raises(InputError, match="seq2seq wants an encoder"):
        check_recipe(recipe(tmp_path, model={"kind": "llama", "width": 32}))
    both = {"encoder": layers["layers"], "decoder": layers["layers"]}
    texts = {"kind": "text", "path": str(tmp_path / "train.en")}
    training = {"steps": 1}
    with pytest.raises(InputError, match="language wants layers"):
        check_recipe(
            recipe(tmp_path, task={"kind": "language"}, data=texts, model=both, training=training)
        )
    sees = [{"kind": "tokens", "width": 8}, {"kind": "attention", "heads": 2, "causal": False}]
    with pytest.raises(InputError, match="which this network would see"):
        check_recipe(recipe(tmp_path, model={**both, "decoder": sees}))
    with pytest.raises(InputError, match=r"pairs has pairs of texts, but the task"):
        check_recipe(recipe(tmp_path, task={"kind": "tag"}))
    with pytest.raises(SpecError, match="sample_tokens"):
        check_recipe(recipe(tmp_path, "training.sample_tokens=5"))
    with pytest.raises(SpecError, match="decodr"):
        recipe(tmp_path, model={"encoder": layers["layers"], "decodr": layers["layers"]})
