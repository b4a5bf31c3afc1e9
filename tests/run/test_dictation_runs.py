"""A small Whisper from the command line: trained, gone on with, written as a folder, its encoder
a start for another task."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_sound_runs import table_of_words, tone, wav_bytes

import luthier
from luthier.cli.app import run as main
from luthier.recipe import Recipe

RECIPE = """\
name: dictated
task: {kind: transcribe, by: attention}
data:
  kind: sound_table
  path: PATH
  sample_rate: 8000
  features: {kind: log_mel, bins: 20}
  normalize: none
  longest_seconds: 2.0
  fill_seconds: 2.0
  tokenizer: {kind: bytes}
model: {kind: whisper, width: 16, depth: 1, heads: 2}
optimizer: {kind: adam, learning_rate: 1.0e-2}
training: {epochs: 1, batch_size: 8, seed: 7}
placement: {threads: 1, precision: fp32, device: cpu}
"""


def test_from_training_to_a_folder_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    table = table_of_words(tmp_path / "words")
    recipe, out = tmp_path / "r.yaml", tmp_path / "run"
    recipe.write_text(RECIPE.replace("PATH", str(table)))
    run = luthier.train(recipe, out=out)
    assert {"word_error", "character_error", "loss"} <= run.summary()["metrics"].keys()
    clip = wav_bytes(tone(300, 3.5, 8000), 8000)
    said = run.predict([clip], beams=2)[0]  # two windows
    assert said["seconds"] == 3.5
    folder = tmp_path / "folder"
    assert main(["export", str(out), "--to", "huggingface", "--out", str(folder)]) == 0
    assert "WhisperForConditionalGeneration" in capsys.readouterr().out
    again = luthier.load(folder)
    assert again.predict([clip], beams=2)[0]["text"] == said["text"]
    _, measured = again.evaluate(on=Recipe.read(recipe), split="test")
    assert measured.metrics["loss"].value == pytest.approx(
        run.summary()["metrics"]["loss"]["value"], rel=2e-3
    )
    plain = Recipe.read(recipe, ["model=null", f"start={folder}", "data.tokenizer=auto"])
    tuned = luthier.train(plain, out=tmp_path / "tuned")
    assert tuned.target == again.target
    ctc = Recipe.read(
        recipe,
        ["model=null", f"start={folder}", "task.by=ctc", "data.tokenizer={kind: characters}"],
    )
    heard = luthier.train(ctc, out=tmp_path / "ctc")
    names = [name for name, _ in heard.network.named_parameters()]
    assert names[0].startswith("layers.0.conv")
    assert not any("cross" in name or name.startswith("encoder") for name in names)
