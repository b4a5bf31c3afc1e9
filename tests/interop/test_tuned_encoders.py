"""From a pretrained encoder to a classifier or a tagger, and on to transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

import transformers
from encoder_folders import FAMILIES, TAGGED, TEXTS, WHOLE, folder

import luthier
from luthier.errors import InputError
from luthier.run.exporting import export
from luthier.run.finished import Run


def tuned(place: Path, family: str, task: dict[str, Any], data: Any, steps: int = 3) -> Run:
    """A run that starts from the folder of a family."""
    recipe = {
        "name": "tuned",
        "start": str(folder(place / "start", *FAMILIES[family])),
        "task": task,
        "data": data,
        "optimizer": {"kind": "adamw", "learning_rate": 3e-3},
        "training": {"steps": steps, "batch_size": 8, "seed": 1},
        "placement": {"threads": 1, "precision": "fp32"},
    }
    return luthier.train(recipe, out=place / "run")


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, Any]:
    rows = "\n".join(f"{text},{label}" for text, label in TEXTS)
    (tmp_path / "texts.csv").write_text(f"text,label\n{rows}\n")
    return {"kind": "text_table", "path": str(tmp_path / "texts.csv"), **WHOLE}


@pytest.fixture
def tags(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "tags.conll").write_text(TAGGED)
    return {"kind": "conll", "path": str(tmp_path / "tags.conll"), **WHOLE}


def exported(place: Path, kind: Any) -> tuple[Any, Any]:
    """The run as transformers has it: nothing missing, nothing unknown."""
    export(place / "run", "huggingface", place / "out")
    network, told = kind.from_pretrained(place / "out", output_loading_info=True)
    assert not told["missing_keys"] | told["unexpected_keys"] | told["mismatched_keys"]
    return network.eval(), transformers.AutoTokenizer.from_pretrained(place / "out")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_classifier(family: str, texts: dict[str, Any], tmp_path: Path) -> None:
    run = tuned(tmp_path, family, {"kind": "classify"}, texts)
    network, made = exported(tmp_path, transformers.AutoModelForSequenceClassification)
    assert type(network).__name__.lower() == f"{family}ForSequenceClassification".lower()
    given = [text for text, _ in TEXTS[:4]]
    found = run.predict(given)
    assert abs(found[0]["probability"] - found[1]["probability"]) > 1e-4
    for text, one in zip(given, found, strict=True):
        with torch.no_grad():
            wanted = network(**made(text, return_tensors="pt")).logits[0].double().softmax(0)
        assert network.config.id2label[int(wanted.argmax())] == one["label"]
        assert one["probability"] == pytest.approx(float(wanted.max()), abs=1e-5)
    again = luthier.load(tmp_path / "out").predict(given)
    assert [one["label"] for one in again] == [one["label"] for one in found]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tagger(family: str, tags: dict[str, Any], tmp_path: Path) -> None:
    run = tuned(tmp_path, family, {"kind": "tag"}, tags)
    network, made = exported(tmp_path, transformers.AutoModelForTokenClassification)
    assert type(network).__name__.lower() == f"{family}ForTokenClassification".lower()
    text = "bob sings gladly in rome"
    [found] = run.predict([text])
    with torch.no_grad():
        wanted = network(**made(text, return_tensors="pt")).logits[0, 1:-1].argmax(-1).tolist()
    assert [network.config.id2label[number] for number in wanted] == found["tags"]


def test_it_learns(texts: dict[str, Any], tmp_path: Path) -> None:
    run = tuned(tmp_path, "BERT", {"kind": "classify"}, texts, steps=40)
    found = run.predict([text for text, _ in TEXTS[:4]])
    assert [one["label"] for one in found] == ["good", "bad", "good", "bad"]


def test_a_sentence_encoder_is_pooled_as_it_was(texts: dict[str, Any], tmp_path: Path) -> None:
    place = folder(tmp_path / "start", *FAMILIES["BERT"])
    (place / "1_Pooling").mkdir()
    ways = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (place / "1_Pooling" / "config.json").write_text(json.dumps(ways))
    recipe = {
        "name": "pooled",
        "start": str(place),
        "task": {"kind": "classify"},
        "data": texts,
        "training": {"steps": 1, "batch_size": 4},
        "placement": {"threads": 1},
    }
    run = luthier.train(recipe, out=tmp_path / "run")
    assert [block.kind for block in run.directory.read_resolved().model.neck] == ["global_pool"]
    with pytest.raises(InputError, match=r"neck: got global_pool, wanted global_pool, den"):
        export(tmp_path / "run", "huggingface", tmp_path / "out")
