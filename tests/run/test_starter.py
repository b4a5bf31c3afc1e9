"""Starter recipes: they parse, pass the check, and train."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import luthier
from luthier.errors import InputError
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.run.starter import TASKS, starter_recipe
from luthier.spec import plain
from luthier.yaml_source import read_yaml

ANIMALS = ("cat", "dog", "cow", "hen", "pig", "fox", "owl")
SENTENCES = [f"the {one} saw the {other}" for one in ANIMALS for other in ANIMALS]
SHORT = ["training.epochs=null", "training.steps=2", "placement.threads=1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of all kinds."""
    place = tmp_path_factory.mktemp("texts")
    labelled = [f"{text},{'ab'[n % 2]}" for n, text in enumerate(SENTENCES)]
    (place / "labels.csv").write_text("text,label\n" + "\n".join(labelled) + "\n")
    pairs = [
        {"premise": one, "hypothesis": other, "label": "yn"[n % 2]}
        for n, (one, other) in enumerate(itertools.pairwise(SENTENCES))
    ]
    (place / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    chinese = [
        {"text": f"床前{a}月{b}光", "label": a} for a in "明暗" for b in "一二三四五六七八九"
    ]
    (place / "chinese.jsonl").write_text("\n".join(json.dumps(row) for row in chinese))
    for number, text in enumerate(SENTENCES):
        file = place / "classes" / "xy"[number % 2] / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    tagged = [
        f"{one} B-PER\nsees O\nNew B-LOC\n{other} I-LOC\n" for one in ANIMALS for other in "abcde"
    ]
    (place / "names.conll").write_text("\n".join(tagged))
    for intent in ("Play", "Eat"):
        data = [
            {"data": [{"text": f"{intent} {n} "}, {"text": "jam", "entity": "what"}]}
            for n in range(24)
        ]
        inside = place / "wishes" / intent
        inside.mkdir(parents=True)
        (inside / f"train_{intent}_full.json").write_text(json.dumps({intent: data[4:]}))
        (inside / f"validate_{intent}.json").write_text(json.dumps({intent: data[:4]}))
    turned = [(text, " ".join(reversed(text.split()))) for text in SENTENCES]
    rows = ["normal,turned", *(",".join(pair) for pair in turned)]
    (place / "turned.csv").write_text("\n".join(rows) + "\n")
    (place / "aligned").mkdir()
    for side, ending in enumerate(("xx", "yy")):
        lines = "".join(f"{pair[side]}\n" for pair in turned)
        (place / "aligned" / f"train.{ending}").write_text(lines)
    told = [{"id": n, "document": a, "summary": b} for n, (a, b) in enumerate(turned)]
    (place / "wide.csv").write_text("a,b,c\none,two,three\n")
    (place / "told.jsonl").write_text("\n".join(map(json.dumps, told)))
    (place / "recordings").mkdir()
    (place / "recordings" / "0_ann_1.wav").write_bytes(b"RIFF")
    (place / "tale.txt").write_text("\n".join(SENTENCES * 5) + "\n")
    stories = [json.dumps({"text": f"{text}, once upon a time"}) for text in SENTENCES]
    (place / "stories.jsonl").write_text("\n".join(stories))
    return place


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path_factory.getbasetemp() / "starter-cache"))


def kinds(model: Any) -> set[str]:
    """Of all blocks."""
    if isinstance(model, list):
        return set().union(*map(kinds, model))
    if not isinstance(model, dict):
        return set()
    own = {model["kind"]} if "kind" in model else set()
    return own.union(*map(kinds, model.values()))


@pytest.mark.parametrize(
    ("task", "data", "source", "blocks"),
    [
        ("classify", "labels.csv", "text_table", {"tokens", "conv"}),
        ("text-classification", "pairs.jsonl", "text_table", {"tokens", "conv"}),
        ("classify", "chinese.jsonl", "text_table", {"tokens", "conv"}),
        ("classify", "classes", "text_folder", {"tokens", "conv"}),
        ("tag", "names.conll", "conll", {"tokens", "recurrent"}),
        ("token-classification", "names.conll", "conll", {"tokens", "recurrent"}),
        ("classify_and_tag", "wishes", "snips", {"tokens", "recurrent"}),
        ("language", "tale.txt", "text", {"llama"}),
        ("text-generation", "stories.jsonl", "text", {"llama"}),
        ("fill-mask", "tale.txt", "text", {"tokens", "attention", "mlp"}),
        ("fill-mask", "stories.jsonl", "text", {"tokens", "attention", "mlp"}),
        ("classify", "digits", "digits", {"conv"}),
        ("seq2seq", "turned.csv", "pairs", {"transformer"}),
        ("translation", "aligned", "pairs", {"transformer"}),
        ("summarization", "told.jsonl", "pairs", {"transformer"}),
    ],
)
def test_parses_checks_and_trains(
    folder: Path, tmp_path: Path, task: str, data: str, source: str, blocks: set[str]
) -> None:
    text, name = starter_recipe(task, data if data == "digits" else str(folder / data))
    assert name == data.split(".")[0]
    assert text.startswith("# ")
    assert all(len(line) <= 130 for line in text.splitlines())
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    recipe = Recipe.read(path)
    assert (recipe.data.kind, recipe.task.kind) == (source, TASKS[task]["kind"])
    assert blocks <= kinds(plain(recipe.model))
    assert check_recipe(recipe).errors == 0
    at_once = ["schedule.warmup_steps=0"] if "warmup_steps" in text else []
    run = luthier.train(Recipe.read(path, [*SHORT, *at_once]), out=tmp_path / "run")
    assert run.summary()["steps"] == 2


def test_what_was_decided_is_said(folder: Path) -> None:
    text, _ = starter_recipe("classify", str(folder / "chinese.jsonl"))
    data = read_yaml(text, "starter").data["data"]
    assert data["tokenizer"]["kind"] == "characters"
    assert "kernel: 2" in text
    text, _ = starter_recipe("language", str(folder / "tale.txt"))
    assert "too little to learn longer tokens" in " ".join(text.split())
    assert "# document: line" in text
    assert read_yaml(text, "starter").data["data"]["tokenizer"]["kind"] == "characters"
    text, _ = starter_recipe("language", str(folder / "stories.jsonl"))
    assert "# document: line" not in text


@pytest.mark.parametrize(
    ("task", "data", "words"),
    [
        ("clasify", "labels.csv", 'did you mean "classify"'),
        ("image-classification", "labels.csv", "has texts, which image-classification does not"),
        ("text-classification", "digits", "has pictures, which text-classification does not"),
        ("tag", "digits", "digits has pictures"),
        ("tag", "labels.csv", "tag"),
        ("classify", "names.conll", "label"),
        ("classify_and_tag", "labels.csv", "tag"),
        ("classify", "tale.txt", "is nothing that is known"),
        ("language", "digits", "digits has pictures"),
        ("language", "gone.txt", "does not exist"),
        ("seq2seq", "tale.txt", "looked for tables with two columns of texts"),
        ("seq2seq", "wide.csv", "columns of texts: a, b, c, and nothing says which two"),
        ("transcribe", "labels.csv", "looked for tables with names of sounds"),
        ("transcribe", "recordings", 'such as 0_ann_1.wav, .* pattern: "{text}_…"'),
        ("classify", "recordings", 'such as 0_ann_1.wav, .* pattern: "{label}_…"'),
    ],
)
def test_refused(folder: Path, task: str, data: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        starter_recipe(task, data if data == "digits" else str(folder / data))
