"""What texts that were written are worth beside what is right: BLEU, chrF, ROUGE.

The numbers are those of the field's own libraries; the intervals are of a bootstrap over the
texts. All functions read the same columns, one entry a text: `output`, `reference`, and `others`,
what is as right, as a list in JSON.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

from luthier.errors import missing_extra
from luthier.metrics.bootstrap import drawn_sums
from luthier.metrics.interval import Metric, mean, resampled

Suite = Literal["translation", "summary"]
"""translation: BLEU and chrF, from sacreBLEU. summary: ROUGE 1, 2 and L, the mean of F1."""
ROUGES = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
EACH = {"chrf_each": "chrF", "rouge_l": "ROUGE-L"}
"""The column that says how good a single text is, and what it is called."""
_ROUGE_KINDS = list(ROUGES.values())
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]|[^\W_]+")


def must_have_library(suite: Suite) -> None:
    """Refuses a suite whose library is not there.

    Raises:
        InputError: With the extra that brings it.
    """
    _sacrebleu() if suite == "translation" else _rouge()


def written_metrics(columns: Mapping[str, np.ndarray], suite: Suite) -> dict[str, Metric]:
    """The metrics of a suite, the headline first."""
    if suite == "translation":
        outputs, references = _texts(columns)
        return {
            name: _of_corpus(metric, outputs, references)
            for name, metric in _metrics(references).items()
        }
    return {name: mean(columns[name], floor=0.0) for name in ("rouge_l", "rouge_1", "rouge_2")}


def signatures(columns: Mapping[str, np.ndarray], suite: Suite) -> dict[str, str]:
    """How the metrics were made, in the words of their libraries."""
    if suite == "summary":
        about = "F1, the best reference, Porter's stemmer, Chinese by characters"
        return dict.fromkeys(ROUGES, f"rouge-score {version('rouge-score')}: {about}")
    outputs, references = _texts(columns)
    found = {}
    for name, metric in _metrics(references).items():
        metric.corpus_score(outputs, references)
        found[name] = str(metric.get_signature())
    return found


def each_written(
    outputs: Sequence[str], references: Sequence[Sequence[str]], suite: Suite
) -> dict[str, np.ndarray]:
    """Scores of each text, `(N,)`: of a translation `chrf_each`, from 0 to 100; of a summary the
    F1 of `rouge_1`, `rouge_2` and `rouge_l`, from 0 to 100, with the best of several references.

    Args:
        outputs: `(N,)`, what was written.
        references: Of each, all that is right.
        suite: Which.
    """
    if suite == "translation":
        metric = _sacrebleu().CHRF()
        scores = [
            metric.sentence_score(output, list(right)).score
            for output, right in zip(outputs, references, strict=True)
        ]
        return {"chrf_each": np.array(scores, dtype=np.float64)}
    scorer = _rouge().RougeScorer(_ROUGE_KINDS, tokenizer=_Words())
    best = [
        scorer.score_multi(list(right), output)
        for output, right in zip(outputs, references, strict=True)
    ]
    return {
        name: np.array([100 * one[kind].fmeasure for one in best], dtype=np.float64)
        for name, kind in ROUGES.items()
    }


class _Words:
    """Cuts texts for ROUGE: as `rouge-score` does, and Chinese in characters."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stemmer = PorterStemmer()

    def tokenize(self, text: str) -> list[str]:
        """Words in lower case, those of more than three letters as their stems."""
        words = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
        return [self.stemmer.stem(word) if len(word) > 3 else word for word in words]


def _of_corpus(metric: Any, outputs: list[str], references: list[list[str | None]]) -> Metric:
    value = metric.corpus_score(outputs, references).score
    # What sacreBLEU's own bootstrap draws from, each text's counts.
    counts = np.array(metric._extract_corpus_statistics(outputs, references))
    draws = [metric._compute_score_from_stats(row).score for row in drawn_sums(counts).tolist()]
    return resampled(value, np.array(draws), len(outputs), floor=0.0, ceiling=100.0)


def _metrics(references: Sequence[Sequence[str | None]]) -> dict[str, Any]:
    library = _sacrebleu()
    return {"bleu": library.BLEU(tokenize=_division(references[0])), "chrf": library.CHRF()}


def _division(references: Sequence[str | None]) -> str:
    """How BLEU divides texts into words: Chinese ones into characters."""
    letters = [char for text in references[:1000] for char in text or "" if char.isalpha()]
    return "zh" if 2 * sum(bool(_HAN.match(char)) for char in letters) > len(letters) else "13a"


def _texts(columns: Mapping[str, np.ndarray]) -> tuple[list[str], list[list[str | None]]]:
    """The outputs, and the references as sacreBLEU has them: a list for each first, second, …"""
    others = [json.loads(text) for text in columns["others"].tolist()]
    references: list[list[str | None]] = [columns["reference"].tolist()]
    for number in range(max(map(len, others))):
        references.append([own[number] if number < len(own) else None for own in others])
    return columns["output"].tolist(), references


def _sacrebleu() -> Any:
    try:
        from sacrebleu import metrics
    except ImportError:
        raise missing_extra("sacrebleu", "text") from None
    return metrics


def _rouge() -> Any:
    try:
        from rouge_score import rouge_scorer
    except ImportError:
        raise missing_extra("rouge-score", "text") from None
    return rouge_scorer
