"""BLEU, chrF and ROUGE are what the field's libraries say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from luthier.metrics.written import each_written, signatures, written_metrics

sacrebleu = pytest.importorskip("sacrebleu")
rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")

OUTPUTS = [
    "A man is riding a bicycle down the street.",
    "Two dogs play in the snow",
    "The children were eating ice creams, running and laughing.",
]
REFERENCES = [
    ["A man rides a bike down a street.", "A man on a bicycle rides down the street."],
    ["Two dogs are playing in the snow."],
    ["Children eat ice cream while they run and laugh."],
]


def columns(outputs: list[str], references: list[list[str]], suite: str) -> dict[str, np.ndarray]:
    return {
        "output": np.array(outputs),
        "reference": np.array([own[0] for own in references]),
        "others": np.array([json.dumps(own[1:]) for own in references]),
        **each_written(outputs, references, suite),  # type: ignore[arg-type]
    }


def test_bleu_and_chrf_are_sacrebleu_s_with_several_references() -> None:
    found = columns(OUTPUTS, REFERENCES, "translation")
    metrics = written_metrics(found, "translation")
    second = [own[1] if len(own) > 1 else None for own in REFERENCES]
    streams = [[own[0] for own in REFERENCES], second]
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    assert metrics["bleu"].value == bleu.corpus_score(OUTPUTS, streams).score > 10
    assert metrics["chrf"].value == chrf.corpus_score(OUTPUTS, streams).score
    said = signatures(found, "translation")
    assert said == {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}
    one = [[own[0]] for own in REFERENCES]
    assert written_metrics(columns(OUTPUTS, one, "translation"), "translation")["bleu"].value < (
        metrics["bleu"].value
    )


def test_the_interval_holds_the_value_and_shrinks_with_more_texts() -> None:
    few = written_metrics(columns(OUTPUTS, REFERENCES, "translation"), "translation")
    many = written_metrics(columns(OUTPUTS * 30, REFERENCES * 30, "translation"), "translation")
    for name in ("bleu", "chrf"):
        (low, high), (lowest, highest) = many[name].interval or (0, 0), few[name].interval or (0, 0)
        assert low < many[name].value < high
        assert high - low < highest - lowest
        assert many[name].value == pytest.approx(few[name].value)


def test_chinese_is_cut_in_characters() -> None:
    outputs, right = ["他在街上骑自行车。"], [["一个人在街上骑自行车。"]]
    found = columns(outputs, right, "translation")
    assert written_metrics(found, "translation")["bleu"].value > 50
    assert "tok:zh" in signatures(found, "translation")["bleu"]
    rouge = each_written(outputs, right, "summary")
    # 8 of the 8 characters but 他 are there: 7 of 8, and 7 of 10.
    assert rouge["rouge_1"][0] == pytest.approx(100 * 2 * (7 / 8) * (7 / 10) / (7 / 8 + 7 / 10))


def test_rouge_is_rouge_score_s_on_english() -> None:
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    wanted = [scorer.score_multi(own, out) for own, out in zip(REFERENCES, OUTPUTS, strict=True)]
    found = written_metrics(columns(OUTPUTS, REFERENCES, "summary"), "summary")
    for name, kind in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        assert found[name].value == pytest.approx(
            100 * np.mean([one[kind].fmeasure for one in wanted])
        )
    assert next(iter(found)) == "rouge_l"
    assert (
        "rouge-score" in signatures(columns(OUTPUTS, REFERENCES, "summary"), "summary")["rouge_l"]
    )
