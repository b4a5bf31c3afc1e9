"""What the spans are worth that a network takes from contexts as answers.

Two sets of rules are in use, those of SQuAD and those of CMRC 2018. Under both, of several
references the one counts that an answer is nearest to.

Source:
    Rajpurkar et al. 2016, 1606.05250, section 6.1, and 2018, 1806.03822, for contexts without an
    answer; Cui et al. 2019 (CMRC 2018), 1810.07366, section 4. The values are those of their
    evaluation programs. One thing differs: what stands between Chinese characters is divided into
    words and marks here, where CMRC's program takes the rules of the Penn Treebank for it (`don't`
    is one word here, two there).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from luthier.metrics.interval import Metric, mean, wilson

Rules = Literal["squad", "cmrc"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""Those that CMRC leaves out of answers; `……` it names too, but as a pair, which no character
is."""
_WORD_OR_MARK = re.compile(r"\w+(?:['.,]\w+)*|[^\w\s]")
_CHINESE = ("\u4e00", "\u9fa5")


def squad_form(text: str) -> str:
    """A text without case, punctuation marks and articles, its words with a space between.

    Example:
        >>> squad_form("The  Beatles' song, an 'A'")
        'beatles song'
    """
    kept = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", kept).split())


def cmrc_form(text: str) -> str:
    """A text in lower case without the marks that CMRC leaves out.

    Example:
        >>> cmrc_form(" 《战国无双3》 ")
        '战国无双3'
    """
    return "".join(sign for sign in text.lower().strip() if sign not in _MARKS)


def cmrc_units(text: str) -> list[str]:
    """The Chinese characters of a text one by one, and the words between them.

    Example:
        >>> cmrc_units("光荣和ω-force 2")
        ['光', '荣', '和', 'ωforce', '2']
    """
    units: list[str] = []
    between = ""
    for sign in cmrc_form(text):
        if _CHINESE[0] <= sign <= _CHINESE[1]:
            units += _WORD_OR_MARK.findall(between)
            units.append(sign)
            between = ""
        else:
            between += sign
    return units + _WORD_OR_MARK.findall(between)


def exact_match(said: str, references: Sequence[str], rules: Rules) -> bool:
    """Whether an answer is one of the references; empty where there is no answer.

    Args:
        said: The answer.
        references: What people said; none where the context has no answer.
        rules: How they are compared.
    """
    form = squad_form if rules == "squad" else cmrc_form
    return any(form(said) == form(reference) for reference in references or ("",))


def f1(said: str, references: Sequence[str], rules: Rules) -> float:
    """How much an answer and the nearest reference have in common.

    SQuAD counts the words that are in both, wherever; CMRC the longest run of units that is.
    Where one of the two is empty, as where there is no answer, only two empty ones are equal.

    Example:
        >>> round(f1("the cat sat", ["a cat", "dogs"], "squad"), 3)
        0.667
        >>> round(f1("由光荣合作", ["光荣和ω-force"], "cmrc"), 3)
        0.444
    """
    compare = _f1_of_words if rules == "squad" else _f1_of_runs
    return max(compare(said, reference) for reference in references or ("",))


def _f1_of_words(said: str, reference: str) -> float:
    ours, theirs = squad_form(said).split(), squad_form(reference).split()
    if not ours or not theirs:
        return float(ours == theirs)
    return _harmonic(sum((Counter(ours) & Counter(theirs)).values()), len(ours), len(theirs))


def _f1_of_runs(said: str, reference: str) -> float:
    ours, theirs = cmrc_units(said), cmrc_units(reference)
    if not ours or not theirs:
        return float(ours == theirs)
    return _harmonic(_longest_run(ours, theirs), len(ours), len(theirs))


def _harmonic(both: int, ours: int, theirs: int) -> float:
    return 2 * both / (ours + theirs)


def _longest_run(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Units of the longest run that both have."""
    longest, before = 0, [0] * (len(theirs) + 1)
    for unit in ours:
        now = [0] * (len(theirs) + 1)
        for place, other in enumerate(theirs, 1):
            if unit == other:
                now[place] = before[place - 1] + 1
                longest = max(longest, now[place])
        before = now
    return longest


def best_threshold(
    margins: np.ndarray, scores: np.ndarray, answerable: np.ndarray
) -> tuple[float, float]:
    """From which margin on it is best to say that there is no answer.

    Args:
        margins: `(N,)`, how much more no answer is worth to the network than the best span.
        scores: `(N,)`, what that span is worth by the references.
        answerable: `(N,)` bool, whether the context has an answer.

    Returns:
        The threshold, above which no answer is given, and the mean score with it. Of equally good
        ones, the nearest to 0.

    Example:
        >>> best_threshold(np.array([-3.0, 1.0, 4.0]), np.array([1.0, 1.0, 0.0]), np.arange(3) < 2)
        (2.5, 1.0)
    """
    order = np.argsort(margins, kind="stable")
    sorted_margins, n = margins[order], len(margins)
    spans = np.concatenate([[0.0], np.cumsum(np.where(answerable, scores, 0.0)[order])])
    nothing = np.cumsum((~answerable.astype(bool))[order][::-1])[::-1]
    totals = spans + np.concatenate([nothing, [0]])
    between = (sorted_margins[1:] + sorted_margins[:-1]) / 2
    thresholds = np.concatenate([[sorted_margins[0] - 1], between, [sorted_margins[-1] + 1]])
    # Equal margins cannot be told apart: no threshold lies between them.
    apart = np.flatnonzero([True, *(sorted_margins[1:] > sorted_margins[:-1]), True])
    chosen = max(apart, key=lambda place: (round(totals[place], 9), -abs(thresholds[place])))
    return float(thresholds[chosen]), float(totals[chosen] / n)


def extraction_metrics(columns: Mapping[str, np.ndarray]) -> dict[str, Metric]:
    """`f1` and `exact_match` over all questions; where some have no answer, `answerable_f1` over
    the others, and `unanswerable_accuracy`: how often it is said of these.

    Reads the columns `f1`, `exact_match` and `answerable`, one entry a question.
    """
    answerable = columns["answerable"].astype(bool)
    found = {"f1": share(columns["f1"]), "exact_match": share(columns["exact_match"])}
    if not answerable.all():
        if answerable.any():
            found["answerable_f1"] = share(columns["f1"][answerable])
        found["unanswerable_accuracy"] = share(columns["exact_match"][~answerable])
    return found


def share(values: np.ndarray) -> Metric:
    """The mean of values between 0 and 1; Wilson's interval where all of them are 0 or 1."""
    n, total = len(values), float(values.sum(dtype=np.float64))
    if np.isin(values, (0, 1)).all():
        return wilson(round(total), n)
    found = mean(values, floor=0.0)
    return Metric(
        value=found.value,
        low=found.low,
        high=None if found.high is None else min(found.high, 1.0),
        n=n,
    )
