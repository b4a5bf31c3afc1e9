"""From a pretrained encoder to one that extracts answers, on to transformers, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

import transformers
from encoder_folders import FAMILIES, folder

import luthier
from luthier.errors import InputError
from luthier.run.exporting import export

CONTEXT = "bob sings gladly in rome and ann sings in paris"
QUESTIONS = [("who sings gladly ?", "bob"), ("where sings ann ?", "paris"), ("who sings ?", "ann")]
ANSWERERS = ("BERT", "DistilBERT")


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    rows = [
        {
            "question": question,
            "context": CONTEXT,
            "answers": [{"text": answer, "answer_start": CONTEXT.index(answer)}],
        }
        for question, answer in QUESTIONS
    ]
    place = tmp_path / "questions.jsonl"
    place.write_text("\n".join(map(json.dumps, rows)))
    return {"kind": "questions", "path": str(place), "split": {"validation": 0, "test": 0}}


def recipe(start: Path, data: dict[str, Any], steps: int = 4) -> dict[str, Any]:
    return {
        "name": "answers",
        "start": str(start),
        "task": {"kind": "extract"},
        "data": data,
        "optimizer": {"kind": "adamw", "learning_rate": 3e-3},
        "training": {"steps": steps, "batch_size": 3, "seed": 1},
        "placement": {"threads": 1, "precision": "fp32"},
    }


@pytest.mark.parametrize("family", ANSWERERS)
def test_transformers_finds_the_same_answers(
    family: str, data: dict[str, Any], tmp_path: Path
) -> None:
    start = folder(tmp_path / "start", *FAMILIES[family])
    run = luthier.train(recipe(start, data), out=tmp_path / "run")
    written = export(tmp_path / "run", "huggingface", tmp_path / "out")
    assert written.architecture.lower() == f"{family}ForQuestionAnswering".lower()
    kind = getattr(transformers, written.architecture)
    network, told = kind.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not told["missing_keys"] | told["unexpected_keys"] | told["mismatched_keys"]
    made = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    found = run.predict([(question, CONTEXT) for question, _ in QUESTIONS], top=5)
    for (question, _), said in zip(QUESTIONS, found, strict=True):
        with torch.no_grad():
            output = network.eval()(**made(question, CONTEXT, return_tensors="pt"))
        begin = len(made(question)["input_ids"])
        starts, ends = (
            scores[0, begin:-1].double().softmax(0)
            for scores in (output.start_logits, output.end_logits)
        )
        best = max(
            (float(starts[i] * ends[j]), i, j)
            for i in range(len(starts))
            for j in range(i, min(i + 1, len(ends)))
        )
        assert said["score"] == pytest.approx(best[0], abs=1e-5)
        words = CONTEXT.split()
        assert said["text"] == words[best[1]]
    again = luthier.load(tmp_path / "out")
    same = again.predict([(question, CONTEXT) for question, _ in QUESTIONS], top=5)
    for ours, theirs in zip(found, same, strict=True):
        # Nothing of theirs says how long answers may be, so longer ones may be found too; and it
        # runs in the precision of this machine.
        assert theirs["score"] >= 0.95 * ours["score"]


def test_the_head_goes_on(data: dict[str, Any], tmp_path: Path) -> None:
    start = folder(tmp_path / "start", *FAMILIES["BERT"])
    first = luthier.train(recipe(start, data, steps=60), out=tmp_path / "run")
    assert first.evaluate("train")[1].metrics["exact_match"].value == 1
    export(tmp_path / "run", "huggingface", tmp_path / "out")
    for begun in (tmp_path / "run", tmp_path / "out"):
        still = recipe(begun, data, steps=1) | {"optimizer": {"kind": "sgd", "learning_rate": 1e-9}}
        going = luthier.train(still, out=tmp_path / f"from-{begun.name}")
        assert going.evaluate("train")[1].metrics["exact_match"].value == 1
        head = [name for name in going.network.state_dict() if name.startswith("head.")]
        assert head
        for name in head:
            ours, theirs = going.network.state_dict()[name], first.network.state_dict()[name]
            assert torch.allclose(ours, theirs, atol=1e-6)


def test_marked_matches_have_no_name_there(data: dict[str, Any], tmp_path: Path) -> None:
    given = recipe(tmp_path, data | {"matches": True}) | {
        "start": None,
        "model": {"layers": [{"kind": "tokens", "width": 8, "types": 3}]},
    }
    luthier.train(given, out=tmp_path / "run")
    with pytest.raises(InputError, match=r"data\.matches"):
        export(tmp_path / "run", "huggingface", tmp_path / "out")
    few = given | {"model": {"layers": [{"kind": "tokens", "width": 8, "types": 2}]}}
    with pytest.raises(InputError, match=r"tokens has types: 2, but data.matches makes 3 kinds"):
        luthier.train(few, out=tmp_path / "few")
