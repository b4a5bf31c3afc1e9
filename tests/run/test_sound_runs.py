"""Runs of sounds, from the command line: new, check, train, evaluate, predict, report."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data" / "sound"))
from sound_files import folder_of_tones, tone, wav_bytes

import luthier
from luthier.cli.app import run as main
from luthier.errors import InputError, SpecError
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.run.starter import starter_recipe

RECIPE = """\
name: tones
task: {kind: classify}
data:
  kind: sound_folder
  path: PATH
  features: {kind: log_mel, bins: 20}
  augment: [{kind: speed}, {kind: spec_augment}]
model:
  layers:
    - {kind: subsample, channels: [4, 8], width: 16}
    - {kind: recurrent, cell: gru, width: 8}
    - {kind: global_pool}
optimizer: {kind: adam, learning_rate: 1.0e-2}
training: {epochs: 6, batch_size: 6, seed: 7}
placement: {threads: 1, precision: fp32, device: cpu}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_tones(tmp_path_factory.mktemp("sounds") / "tones", each=20)


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> luthier.Run:
    home = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_CACHE", str(home / "cache"))
        (home / "tones.yaml").write_text(RECIPE.replace("PATH", str(folder)))
        return luthier.train(home / "tones.yaml", out=home / "tones")


def test_it_learns_high_and_low(run: luthier.Run, folder: Path) -> None:
    assert run.summary()["metrics"]["accuracy"]["value"] == 1.0
    low, high = run.predict([wav_bytes(tone(300, 0.3)), wav_bytes(tone(2500, 0.2, 8000), 8000)])
    assert (low["label"], high["label"]) == ("low", "high")
    found = run.predict([folder / "low"])
    assert len(found) == 20
    assert found[0]["input"].endswith(".wav")


def test_its_report_shows_it(run: luthier.Run) -> None:
    page = run.directory.report.read_text(encoding="utf-8")
    assert "sounds" in page
    assert "subsample" in page


SPOKEN = RECIPE.replace("kind: classify", "kind: transcribe").replace("name: tones", "name: said")
SPOKEN = SPOKEN.replace("kind: sound_folder", "kind: sound_table").replace(
    "    - {kind: global_pool}\n", ""
)


def tuned_changes(start: Path) -> list[str]:
    return ["model=null", f"start={start}", "data.augment=[]"]


def table_of_words(root: Path) -> Path:
    """Tones in a row, each a word."""
    root.mkdir(parents=True)
    draw, lines = np.random.default_rng(1), ["file,text"]
    for number in range(48):
        words = draw.choice(["low", "high"], size=draw.integers(1, 4))
        parts = [np.zeros(800, dtype=np.float32)]
        for word in words:
            parts += [tone(300 if word == "low" else 2500, 0.2, 8000), np.zeros(800)]
        (root / f"{number}.wav").write_bytes(wav_bytes(np.concatenate(parts), 8000))
        lines.append(f"{number}.wav,{' '.join(words)}!")
    (root / "said.csv").write_text("\n".join(lines) + "\n")
    return root / "said.csv"


def test_what_is_said_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    table = table_of_words(tmp_path / "words")
    recipe = tmp_path / "said.yaml"
    recipe.write_text(SPOKEN.replace("PATH", str(table)))
    changes = ["data.tokenizer={kind: words}", "data.augment=[]", "training.epochs=40"]
    decoder = "task.decoder={kind: beam, width: 4, language: {kind: ngram, order: 2}}"
    out = tmp_path / "said"
    run = luthier.train(Recipe.read(recipe, [*changes, decoder]), out=out)
    assert run.summary()["metrics"]["word_error"]["value"] < 0.2
    assert main(["predict", str(out), str(table.parent / "3.wav")]) == 0
    assert "what is said" in capsys.readouterr().out
    assert main(["evaluate", str(out)]) == 0
    assert "substitutions" in capsys.readouterr().out
    assert "What was heard wrong" in run.directory.report.read_text(encoding="utf-8")
    again = Recipe.read(recipe, ["data.limit=20", "data.tokenizer={kind: characters}"])
    _, evaluation = run.evaluate(on=again, split="train")
    assert evaluation.metrics["word_error"].value < 0.3
    tuned = Recipe.read(recipe, [*tuned_changes(out), "training.epochs=1"])
    going_on = luthier.train(tuned, out=tmp_path / "tuned")
    assert going_on.summary()["metrics"]["word_error"]["value"] < 0.3
    other = [*tuned_changes(out), "data.features={kind: log_mel, bins: 30}"]
    with pytest.raises(SpecError, match=r"is other than .* has it, whose weights belong to"):
        luthier.train(Recipe.read(recipe, other), out=tmp_path / "other")


def test_texts_that_do_not_fit_are_found_before_training(tmp_path: Path) -> None:
    table = table_of_words(tmp_path / "words")
    lines = table.read_text().splitlines()
    lines[1] = "0.wav," + "high " * 40
    table.write_text("\n".join(lines) + "\n")
    (tmp_path / "said.yaml").write_text(SPOKEN.replace("PATH", str(table)))
    recipe = Recipe.read(tmp_path / "said.yaml", ["data.split={validation: 0.0, test: 0.0}"])
    found = check_recipe(recipe).findings
    assert any("0.wav" in f.files and f.severity == "error" for f in found)
    lenient = check_recipe(recipe.with_values({"data.on_error": "skip"}))
    assert lenient.errors == 0
    assert any("0.wav" in f.files and f.severity == "warning" for f in lenient.findings)
    with pytest.raises(InputError, match=r"does not fit into the frames .*: 0\.wav"):
        luthier.train(recipe, out=tmp_path / "run")


def test_a_starter_recipe_can_be_checked(folder: Path, tmp_path: Path) -> None:
    text, name = starter_recipe("audio-classification", str(folder))
    assert name == "tones"
    (tmp_path / "r.yaml").write_text(text)
    checked = check_recipe(Recipe.read(tmp_path / "r.yaml"))
    assert checked.errors == 0
    assert checked.splits == {"train": 32, "validation": 4, "test": 4}
    assert any("training sounds last" in found.message for found in checked.findings)
    json.dumps(checked.to_json())


def test_a_starter_recipe_for_what_is_said(tmp_path: Path) -> None:
    table = table_of_words(tmp_path / "words")
    text, name = starter_recipe("transcribe", str(table))
    (tmp_path / "r.yaml").write_text(text)
    recipe = Recipe.read(tmp_path / "r.yaml")
    assert (name, recipe.task.kind, recipe.data.kind) == ("said", "transcribe", "sound_table")
    assert check_recipe(recipe).errors == 0
