"""An n-gram model of tokens: how likely a token is behind those before it."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field

from luthier.errors import DataError
from luthier.spec import Spec

DISCOUNT = 0.75
"""What Kneser and Ney take away from each count."""
FORMAT = 1
Gram = tuple[int, ...]


class NgramSpec(Spec):
    """A language model that is counted, not learned: it tells a decoder what people say."""

    kind: Literal["ngram"] = "ngram"
    order: int = Field(default=5, ge=1, le=12)
    """Tokens that are looked at together, the one that is predicted among them."""
    path: str | None = None
    """A file of texts, one a line; none means what is said in the training sounds."""


class Ngram:
    """Interpolated Kneser-Ney smoothing with one discount.

    `p(w | h) = max(c(h w) - D, 0) / c(h) + D n(h) / c(h) * p(w | h')`, where h' is h without its
    first token, n(h) the number of different tokens behind h, and c counts occurrences for the
    longest h, and different tokens before for all shorter ones. Below the single tokens lies an
    equal share for each.

    Args:
        order: Tokens that are looked at together.
        vocab: Distinct tokens; the end of a text is one more.
        counts: How often each sequence of `order` tokens, or a shorter one at the beginning of a
            text, is there.

    Source:
        Chen and Goodman 1998, "An empirical study of smoothing techniques for language
        modeling", section 4.1.6, with D = 0.75.

    Example:
        >>> model = Ngram.of([[0, 1], [0, 1], [0, 2]], order=2, vocab=3)
        >>> model.nats((0,), 1) < model.nats((0,), 2)
        True
    """

    def __init__(self, order: int, vocab: int, counts: dict[Gram, int]) -> None:
        self.order = order
        self.vocab = vocab
        self.end = vocab
        self.begin = vocab + 1
        self._counts = counts
        self._tables = _tables(order, counts)
        self._kept: dict[tuple[Gram, int], float] = {}

    @classmethod
    def of(cls, texts: Iterable[Sequence[int]], order: int, vocab: int) -> Ngram:
        """The model of some texts.

        Raises:
            DataError: If there are none.
        """
        counts: dict[Gram, int] = defaultdict(int)
        for text in texts:
            whole = (*(vocab + 1,) * (order - 1), *map(int, text), vocab)
            for start in range(len(whole) - order + 1):
                counts[whole[start : start + order]] += 1
        if not counts:
            raise DataError("got no texts to count; wanted some for the language model")
        return cls(order, vocab, dict(counts))

    def nats(self, before: Sequence[int], token: int) -> float:
        """`-ln p` of a token, or of the end, behind the tokens of a text so far."""
        wanted = self.order - 1
        history = tuple(before[-wanted:]) if wanted else ()
        history = (*(self.begin,) * (wanted - len(history)), *history)
        key = (history, token)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = -math.log(self._probability(history, token))
        return found

    def text_nats(self, text: Sequence[int]) -> float:
        """`-ln p` of a whole text with its end."""
        tokens = [*map(int, text), self.end]
        return sum(self.nats(tokens[:place], token) for place, token in enumerate(tokens))

    def to_json(self) -> str:
        """What `from_json` reads."""
        grams = [[*gram, count] for gram, count in sorted(self._counts.items())]
        about: dict[str, Any] = {"format": FORMAT, "order": self.order, "vocab": self.vocab}
        return json.dumps(about | {"counts": grams}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Ngram:
        """What `to_json` gave."""
        about = json.loads(text)
        assert about["format"] == FORMAT, f"an n-gram model of format {about['format']}"
        counts = {tuple(gram[:-1]): gram[-1] for gram in about["counts"]}
        return cls(about["order"], about["vocab"], counts)

    def _probability(self, history: Gram, token: int) -> float:
        p = 1 / (self.vocab + 1)
        for table, reach in zip(self._tables, range(len(history) + 1), strict=True):
            behind = table.get(history[len(history) - reach :])
            if behind is None:
                continue  # never seen: as the shorter one says
            total, own = behind
            share = DISCOUNT * len(own) / total
            p = max(own.get(token, 0) - DISCOUNT, 0) / total + share * p
        return p


Table = dict[Gram, tuple[int, dict[int, int]]]


def _tables(order: int, counts: dict[Gram, int]) -> list[Table]:
    """For each length of a history, from none on, what may follow it, and how often."""
    tables: list[Table] = []
    level = counts
    for _ in range(order):
        behind: dict[Gram, dict[int, int]] = defaultdict(dict)
        for gram, count in level.items():
            behind[gram[:-1]][gram[-1]] = count
        tables.append({gram: (sum(own.values()), own) for gram, own in behind.items()})
        shorter: dict[Gram, int] = defaultdict(int)
        for gram in level:  # how many different tokens stand before
            shorter[gram[1:]] += 1
        level = shorter
    return tables[::-1]
