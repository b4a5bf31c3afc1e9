"""Where a network took the wrong span of a context, the surest first."""

from __future__ import annotations

import numpy as np

from luthier.reports.amounts import count, percent, plural
from luthier.reports.markup import Child, Markup, tag
from luthier.reports.mistakes import MOST
from luthier.reports.page import Section, section
from luthier.tasks.task import Columns

NOTHING = "no answer"


def answers_section(columns: Columns) -> Section:
    """The worst mistakes: the question, the context around what was said, and the truth.

    Args:
        columns: Of the evaluation: `f1`, `question`, `passage`, `answer`, `truth`, `probability`.
    """
    wrong = np.flatnonzero(columns["f1"] < 1)
    total = len(columns["f1"])
    if not len(wrong):
        body: Child = tag("p", f"All {count(total)} answers are right.")
        return section("Mistakes", "Worst mistakes", "", body)
    # Those with nothing right first, then by how sure the network was.
    order = np.lexsort((-columns["probability"][wrong], columns["f1"][wrong]))
    shown = wrong[order[:MOST]]
    said = f"the {MOST} worst" if len(wrong) > MOST else "all"
    return section(
        "Mistakes",
        "Worst mistakes",
        f"{plural(len(wrong), 'answer')} of {count(total)} "
        f"{'is' if len(wrong) == 1 else 'are'} not wholly right; here {said}, those with the least "
        "F1 first, of these the surest. In brackets, the probability that the network gave its "
        "answer; in bold in the context, what it chose or would have chosen.",
        tag("div.tiles", *(_tile(columns, int(row)) for row in shown)),
    )


def _tile(columns: Columns, row: int) -> Markup:
    answer, truth = str(columns["answer"][row]), str(columns["truth"][row])
    passage, name = str(columns["passage"][row]), str(columns["name"][row])
    shown = " ".join(answer.split())
    before, found, behind = passage.partition(shown) if shown else (passage, "", "")
    return tag(
        "figure.tile.text",
        tag("p.text", tag("b", str(columns["question"][row]))),
        tag("p.text", before, tag("b", found) if found else None, behind),
        tag(
            "figcaption",
            "said ",
            tag("b", answer or NOTHING),
            f" ({percent(float(columns['probability'][row]), 0)}), is ",
            tag("b", truth or NOTHING),
        ),
        tag("div.file", f"{name}, F1 {float(columns['f1'][row]):.2f}"),
        at={"title": name},
    )
