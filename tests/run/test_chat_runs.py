"""Runs on conversations: trained, resumed, gone on from, and asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_support import equal, weights

import luthier as package
from luthier.checkpoint.files import remove_tree
from luthier.cli.app import run as command
from luthier.errors import InputError
from luthier.inference.dialogue import Dialogue
from luthier.recipe import Recipe
from luthier.run.finished import Run

COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "rose": "red"}
TALKS = [
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"Colour of {thing}?"},
            {"role": "assistant", "content": f"It is {colour}."},
            {"role": "user", "content": "Sure?"},
            {"role": "assistant", "content": f"Yes, {colour}."},
        ]
    }
    for thing, colour in COLOURS.items()
]


def recipe(path: Path, *overrides: str, **data: Any) -> Recipe:
    """A small Llama on five conversations."""
    return Recipe.of(
        {
            "name": "talks",
            "task": {"kind": "language"},
            "data": {
                "kind": "chat",
                "path": str(path),
                "tokenizer": {"kind": "bpe", "vocab": 340},
                "context": 160,
                "packing": False,
                **data,
            },
            "model": {"kind": "llama", "width": 64, "depth": 2, "heads": 4},
            "optimizer": {"kind": "muon", "learning_rate": 0.02},
            "training": {"steps": 100, "batch_size": 5, "seed": 1, "checkpoint_every_steps": 7},
            "placement": {"threads": 1, "precision": "fp32"},
        },
        overrides,
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, rows in {"train": TALKS, "val": TALKS[:1]}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def trained(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Learned by heart."""
    out = tmp_path_factory.mktemp("runs") / "talks"
    with_samples = "training.samples=['Colour of snow?']"
    return package.train(recipe(table, with_samples), out=out)


GREEDY = {"greedy": True, "max_tokens": 30}


def test_it_answers_and_stops(trained: Run) -> None:
    """What was learned by heart is said, in the form that it was learned in, up to its end."""
    asked = [f"Colour of {thing}?" for thing in COLOURS]
    found = trained.generate(asked, GREEDY, system="Be brief.")
    assert [one.text for one in found] == [f"It is {colour}." for colour in COLOURS.values()]
    assert {one.ending for one in found} == {"end"}
    bare = trained.generate(["Colour of sky?"], GREEDY, template=False)  # the twin
    assert bare[0].text != "It is blue."


def test_a_dialogue_remembers(trained: Run) -> None:
    dialogue = trained.converse(GREEDY, system="Be brief.")
    assert isinstance(dialogue, Dialogue)
    told: list[str] = []
    assert dialogue.say("Colour of coal?", lambda _, text: told.append(text)) == "It is black."
    assert "".join(told).strip() == "It is black."
    assert dialogue.say("Sure?") == "Yes, black."
    assert [message.role for message in dialogue.messages] == ["user", "assistant"] * 2
    for _ in range(4):  # it outgrows the context, and forgets its first turns
        dialogue.say("Colour of coal?")
    with pytest.raises(InputError, match="say less"):
        dialogue.say("Colour of coal? " * 50)
    with pytest.raises(InputError, match="empty message"):
        dialogue.say(" ")


def test_the_terminal_shows_the_same(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(trained.directory.path)
    asked = ["--greedy", "--system", "Be brief.", "--prompt", "Colour of rose?"]
    assert command(["generate", run, *asked]) == 0
    assert capsys.readouterr().out == "It is red.\n"
    assert command(["generate", run, *asked, "--prompt", "Colour of sky?"]) == 0
    assert capsys.readouterr().out.startswith("Colour of rose?\nIt is red.\n\nColour of sky?\nIt")


def test_a_prompt_that_cannot_be_asked(trained: Run, table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="prompt 1 is empty"):
        trained.generate([" "])
    with pytest.raises(InputError, match=r"prompt 1 has .* tokens with its template"):
        trained.generate(["word " * 200])
    with pytest.raises(InputError, match=r"training\.samples: prompt 1 is empty"):
        package.train(recipe(table, 'training.samples=[""]'), out=tmp_path / "run")


def test_samples_and_masks_are_in_the_report(trained: Run) -> None:
    page = trained.directory.report.read_text()
    assert "Colour of snow?" in page
    assert "What is learned" in page
    assert "<mark><i>" in page
    shown = page[page.index('class="tokens"') :]
    assert "&lt;|im_end|&gt;</i></mark>" in shown


def test_check_shows_what_is_learned(table: Path, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "talks.yaml"
    file.write_text(recipe(table).to_yaml())
    assert command(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "6 conversations as messages (OpenAI)" in out
    assert "What is learned, in colour and between « and »" in out
    assert "<|im_end|>»" in out
    assert command(["check", str(file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["shown"]
    assert {token["learned"] for token in shown[0]["tokens"]} == {True, False}


def test_a_resumed_run_is_the_same_run(trained: Run, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "talks"
    package.train(recipe(table, "training.steps=20"), out=out)
    whole = package.train(recipe(table, "training.steps=20"), out=tmp_path / "whole")
    for entry in out.glob("checkpoints/step-*"):
        if int(entry.name[5:]) > 14:
            remove_tree(entry)
    package.train(recipe(table, "training.steps=20"), out=out, resume=True)
    assert equal(weights(out), weights(whole.directory.path))


def test_parts_of_a_batch_teach_what_the_batch_does(table: Path, tmp_path: Path) -> None:
    found = []
    for parts in (1, 2, 4):
        settings = [
            "optimizer={kind: sgd, learning_rate: 0.1}",
            f"training.accumulate={parts}",
            "training.steps=3",
            "training.batch_size=4",
        ]
        out = tmp_path / str(parts)
        package.train(recipe(table, *settings), out=out)
        found.append(weights(out))
    for other in found[1:]:
        for name, tensor in found[0].items():
            assert (tensor - other[name]).abs().max() < 1e-4, name


def test_a_run_that_starts_from_it_takes_its_template(
    trained: Run, table: Path, tmp_path: Path
) -> None:
    again = Recipe.of(
        {
            "name": "again",
            "start": str(trained.directory.path),
            "task": {"kind": "language"},
            "data": {"kind": "chat", "path": str(table)},
            "training": {"steps": 1, "batch_size": 2},
            "placement": {"threads": 1},
        }
    )
    run = package.train(again, out=tmp_path / "again")
    place = str(trained.directory.model)
    decided = {found.place: found.value for found in run.directory.read_decisions()}
    assert decided["data.template"] == place
    assert run.speaks


def test_a_starter_recipe_tunes_what_it_is_told_to(
    trained: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"Colour {n}?", "chosen": "Red.", "rejected": "No."} for n in range(9)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for task, data in (("language", table), ("preference", pairs), ("reward", pairs)):
        assert command(["new", task, str(data), "--out", f"{task}.yaml"]) == 0
        assert "kind: chat" in Path(f"{task}.yaml").read_text()
        given = [f"start={trained.directory.path}", "training.epochs=null", "training.steps=2"]
        run = package.train(Recipe.read(f"{task}.yaml", given), out=tmp_path / task)
        assert run.summary()["steps"] == 2
