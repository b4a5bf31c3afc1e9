"""What the measured quantities are called, and what they mean, for people."""

from __future__ import annotations

import re
from dataclasses import dataclass

from luthier.metrics.interval import Metric
from luthier.reports.amounts import decimals_of, number, percent

_NAIVE = re.compile(r"(repeat_last|seasonal_naive)_(\w+)")
_TOP = re.compile(r"top_(\d+)_accuracy")


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A kind of number."""

    title: str
    is_share: bool = False
    """Whether it is a share of one, shown in percent."""
    is_schedule: bool = False
    """Whether it was set beforehand: its shape over time counts, not its last value."""
    meaning: str = ""
    """One plain clause for a stranger."""

    def show(self, value: float, decimals: int = 1) -> str:
        """A value of it."""
        return percent(value, decimals) if self.is_share else number(value)

    def value(self, metric: Metric) -> str:
        """The value, as exact as its interval allows."""
        return self.show(metric.value, decimals_of(metric))

    def interval(self, metric: Metric) -> str:
        """The interval: `96.0 to 99.1 %`."""
        if metric.interval is None:
            return "of a lone example, no interval"
        low, high = metric.interval
        if not self.is_share:
            return f"{number(low)} to {number(high)}"
        decimals = decimals_of(metric)
        return f"{100 * low:.{decimals}f} to {percent(high, decimals)}"


_KNOWN = {
    "accuracy": Quantity(
        title="Accuracy", is_share=True, meaning="how often the first answer is right"
    ),
    "margin": Quantity(
        title="Reward margin", meaning="how much more the better answers are worth to the network"
    ),
    "macro_f1": Quantity(
        title="Macro F1",
        is_share=True,
        meaning="precision and recall as one, each class weighing the same",
    ),
    "log_loss": Quantity(
        title="Log loss", meaning="surprise at the right answer; 0 is sure and right"
    ),
    "calibration_error": Quantity(
        title="Calibration error",
        is_share=True,
        meaning="how far stated confidence is from actual accuracy",
    ),
    "perplexity": Quantity(
        title="Perplexity", meaning="among how many equally likely tokens it hesitates"
    ),
    "bits_per_byte": Quantity(
        title="Bits per byte", meaning="what the text costs; comparable between tokenizers"
    ),
    "entity_f1": Quantity(
        title="Entity F1",
        is_share=True,
        meaning="precision and recall of whole entities as one",
    ),
    "entity_precision": Quantity(
        title="Entity precision",
        is_share=True,
        meaning="of the entities that it says, how many there are",
    ),
    "entity_recall": Quantity(
        title="Entity recall",
        is_share=True,
        meaning="of the entities that there are, how many it finds",
    ),
    "tag_accuracy": Quantity(
        title="Tag accuracy", is_share=True, meaning="how often the tag of a word is right"
    ),
    "tag_macro_f1": Quantity(
        title="Tag macro F1",
        is_share=True,
        meaning="precision and recall as one, each tag weighing the same",
    ),
    "f1": Quantity(
        title="F1",
        is_share=True,
        meaning="how much an answer and the nearest reference have in common",
    ),
    "exact_match": Quantity(
        title="Exact match", is_share=True, meaning="how often an answer is one of the references"
    ),
    "answerable_f1": Quantity(
        title="F1, answerable",
        is_share=True,
        meaning="the same, of the questions that have an answer",
    ),
    "unanswerable_accuracy": Quantity(
        title="Unanswerable",
        is_share=True,
        meaning="of the questions that have no answer, how often it is said so",
    ),
    "frame_accuracy": Quantity(
        title="Frame accuracy", is_share=True, meaning="how often the class and all tags are right"
    ),
    "word_error": Quantity(
        title="Word error",
        is_share=True,
        meaning="words that are wrong, missed or too many, for each that was said",
    ),
    "character_error": Quantity(
        title="Character error", is_share=True, meaning="the same, letter by letter"
    ),
    "exact": Quantity(title="Exact", is_share=True, meaning="how often the whole text is right"),
    "bleu": Quantity(
        title="BLEU", meaning="how much of the words and their order is that of the right texts"
    ),
    "chrf": Quantity(title="chrF", meaning="the same of characters: endings count a little too"),
    "rouge_1": Quantity(title="ROUGE-1", meaning="words in common with the right texts"),
    "rouge_2": Quantity(title="ROUGE-2", meaning="pairs of words in common"),
    "rouge_l": Quantity(title="ROUGE-L", meaning="words in common in the same order"),
    "mse": Quantity(title="MSE", meaning="the squared error, on the scale that was learned"),
    "mae": Quantity(title="MAE", meaning="the absolute error, on the scale that was learned"),
    "mae_in_units": Quantity(title="MAE in units", meaning="the absolute error, as in the table"),
    "mase": Quantity(
        title="MASE", meaning="the error by that of a naive forecast in training; 1 is as good"
    ),
    "crps": Quantity(
        title="CRPS", meaning="the error of all quantiles; of a single value it is the MAE"
    ),
    "coverage": Quantity(
        title="Coverage",
        is_share=True,
        meaning="how many values lie between the outermost quantiles",
    ),
    "loss": Quantity(title="Loss", meaning="what training makes small"),
    "learning_rate": Quantity(title="Learning rate", is_schedule=True),
}


def quantity(name: str) -> Quantity:
    """The quantity of a metric's name; an unknown one is called by its name.

    Example:
        >>> quantity("top_5_accuracy").title, quantity("grad_norm").title
        ('Top-5 accuracy', 'Grad norm')
    """
    if found := _TOP.fullmatch(name):
        return Quantity(
            title=f"Top-{found[1]} accuracy",
            is_share=True,
            meaning=f"how often the right answer is among the {found[1]} likeliest",
        )
    if found := _NAIVE.fullmatch(name):
        inner, naive = quantity(found[2]), found[1].replace("_", " ")
        return Quantity(title=f"{inner.title}, {naive}", meaning="of a forecast without a network")
    title = name.replace("_", " ").strip()
    return _KNOWN.get(name) or Quantity(title=title[:1].upper() + title[1:])
