from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.data.finding import Finding
from luthier.data.purpose import Purpose
from luthier.data.readers.conll import ConllSpec
from luthier.data.readers.text import TextSpec
from luthier.data.readers.text_table import TextTableSpec
from luthier.data.text.labelled.prepare_texts import prepare_texts
from luthier.data.text.text_doctor import inspect_texts

LABELS = Purpose(learns="labels")
SUBJECTS = ["cat", "dog", "owl", "fox", "hen", "cow", "pig", "ant", "bee", "elk"]
PLACES = ["barn", "lake", "hill", "road", "tree", "wall", "roof", "yard", "cave", "reef"]


def sentence(number: int) -> str:
    return f"the {SUBJECTS[number % 10]} number {number} sat quietly on the {PLACES[number // 10]}"


def table(path: Path, rows: list[tuple[object, object]]) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    path.write_text("\n".join(lines))


def told(findings: list[Finding], severity: str) -> list[str]:
    return [finding.message for finding in findings if finding.severity == severity]


def test_clean_texts_have_notes_alone(tmp_path: Path) -> None:
    table(tmp_path / "x.jsonl", [(f"{chr(97 + n // 2)}{n} " * 3, n % 2) for n in range(50)])
    spec = TextTableSpec(path=str(tmp_path / "x.jsonl"), split={"validation": 0, "test": 0})
    found = inspect_texts(spec, LABELS)
    assert {finding.severity for finding in found} == {"note"}
    assert any("bytes per token in training; texts have 3.0 tokens" in f.message for f in found)
    shown = next(f for f in found if f.message == "texts are split as these are")
    assert shown.files[0] == "a0 | a0 | a0"


def test_everything_that_is_wrong(tmp_path: Path) -> None:
    train = [(sentence(n), "yes" if n < 8 else "no") for n in range(100)]
    train += [("", "yes"), (sentence(50).upper(), "yes"), (sentence(3), "yes")]
    test = [(sentence(12) + "  ", "no"), (sentence(45) + "!", "no")]
    test += [("zzz qqq xxx " * 40, "no"), ("wholly new words", "no")]
    table(tmp_path / "train.jsonl", list(train))
    table(tmp_path / "test.jsonl", list(test))
    spec = TextTableSpec(path=str(tmp_path), classes=("yes", "no", "perhaps"))
    assert isinstance(spec.split.validation, float)
    spec = spec.model_copy(update={"split": spec.split.model_copy(update={"validation": 0.0})})
    found = inspect_texts(spec, LABELS)
    assert told(found, "error") == [
        '1 text cannot be used: is empty in the column "text"',
        "1 class without a training text: perhaps",
    ]
    warnings = "\n".join(told(found, "warning"))
    for message in (
        "1 class with fewer than 20 training texts: yes (10)",
        "test has no texts of 1 class: yes",
        "1 test text equal to one in train; what is learned by heart there",
        "1 pair of equal texts with two labels",
        "1 test text nearly equal to one in train",
        "1 test text of 4 longer than 64 tokens, the longest has 120; cut at the end",
        "unknown to the tokenizer: ",
    ):
        assert message in warnings
    leak = next(f for f in found if "test text equal" in f.message)
    assert leak.files == ("train.jsonl line 13 = test.jsonl line 1",)
    assert "2 pairs of equal texts in one split" in told(found, "note")
    prepared = prepare_texts(spec.model_copy(update={"on_error": "skip"}), LABELS, seed=0)
    assert inspect_texts(prepared) == found


def test_tags(tmp_path: Path) -> None:
    sentences = [f"Anna{n} B-name\nsings O\nwell O\n" for n in range(30)]
    sentences += ["same O\ntext O\nhere O\n", "same O\ntext O\nhere B-name\n"]
    sentences += ["lone I-name\nword O\nagain O\n"]
    (tmp_path / "x.conll").write_text("\n".join(sentences))
    spec = ConllSpec.model_validate(
        {"path": str(tmp_path / "x.conll"), "split": {"validation": 0, "test": 0}}
    )
    found = inspect_texts(spec, Purpose(learns="tags"))
    warnings = told(found, "warning")
    assert any(message.startswith("1 tag in 1 train text cannot follow") for message in warnings)
    assert "1 tag on fewer than 20 training words: I-name (1)" in warnings
    assert "1 pair of equal texts with two taggings" in warnings
    entities = "33 train texts have 99 words, 32 entities; 67.7% of the words are outside of them"
    assert entities in told(found, "note")


def test_what_cannot_be_prepared_is_an_error(tmp_path: Path) -> None:
    spec = TextTableSpec(path=str(tmp_path / "gone.csv"))
    (finding,) = inspect_texts(spec, LABELS)
    assert finding.severity == "error"
    assert "gone.csv: does not exist" in finding.message


@pytest.mark.parametrize("packing", [True, False])
def test_documents(tmp_path: Path, packing: bool) -> None:
    lines = "\n".join(f"{sentence(n)}." for n in range(100)) + "\n" + "long " * 200
    (tmp_path / "x.txt").write_text(lines)
    spec = TextSpec(path=str(tmp_path / "x.txt"), document="line", packing=packing, context=256)
    purpose = Purpose(learns="documents", specials=("end",), ahead=1)
    found = inspect_texts(spec, purpose)
    messages = "\n".join(finding.message for finding in found)
    assert "train has 9" in messages
    assert "bytes each" in messages
    filled = next(f for f in found if "training rows of 256 tokens are" in f.message)
    assert filled.severity == ("note" if packing else "warning")
    shown = next(f for f in found if f.message == "texts are split as these are")
    assert " | " in shown.files[0]
