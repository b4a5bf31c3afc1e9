"""The words of texts: where their tokens are, and what is said of them.

Dimension key, for the whole file:
    N  texts      S  tokens of all texts      W  words of all texts that have tokens
    K  scores of a token      Y  types of entities, or tags
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.data.target import Tags
from luthier.data.text.labelled.tagging import OUTSIDE, entities_in
from luthier.data.text.rows.samples import PADDING, Text, TextSamples
from luthier.tasks.texts import Texts

From = Literal["first", "mean"]
UNSAID = -1
"""The tag of a word that no tag is given, where there is none for words that are nothing."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of several texts.

    A text that was cut off has words without tokens: nothing is learned from them, and they are
    measured as what the network does not find.
    """

    first_W: Tensor
    """int64, the place of each word's first token among all tokens."""
    word_S: Tensor
    """int64, the word of each token; W where it belongs to none."""
    tags_W: Tensor | None
    """int64; none where they are not known."""
    lengths: tuple[int, ...]
    """`(N,)` words with tokens of each text."""
    numbers: tuple[NDArray[np.int64], ...]
    """Of each text, the numbers of its words that have tokens."""
    texts: tuple[Text, ...]

    @classmethod
    def of(cls, samples: TextSamples) -> Words:
        """The words of some samples."""
        firsts, owners, numbers = [], [], []
        tokens = words = 0
        for text in samples.texts:
            assert text.words is not None, "texts without words"
            number, first, owner = np.unique(text.words, return_index=True, return_inverse=True)
            inside = number != PADDING
            # Numbers rise, and PADDING is below them: it is the first, where it is there.
            owners.append(np.where(inside[owner], owner - (not inside[0]) + words, PADDING))
            firsts.append(first[inside] + tokens)
            numbers.append(number[inside].astype(np.int64))
            tokens += len(text.words)
            words += len(numbers[-1])
        word_S = np.concatenate(owners)
        return cls(
            first_W=torch.from_numpy(np.concatenate(firsts).astype(np.int64)),
            word_S=torch.from_numpy(np.where(word_S == PADDING, words, word_S).astype(np.int64)),
            tags_W=_tags(samples.texts, numbers),
            lengths=tuple(len(number) for number in numbers),
            numbers=tuple(numbers),
            texts=tuple(samples.texts),
        )

    def __len__(self) -> int:
        return len(self.first_W)

    def to(self, device: torch.device) -> Words:
        """The same on `device`; what only people read stays."""
        tags = self.tags_W
        return replace(
            self,
            first_W=self.first_W.to(device, non_blocking=True),
            word_S=self.word_S.to(device, non_blocking=True),
            tags_W=None if tags is None else tags.to(device, non_blocking=True),
        )

    def scores(self, y_SK: Tensor, source: From) -> Tensor:
        """The scores of each word, from those of its tokens: `(W, K)`."""
        if source == "first":
            return y_SK.index_select(0, self.first_W)
        ones_S = torch.ones_like(y_SK[:, :1])
        sums = y_SK.new_zeros(len(self) + 1, y_SK.shape[1] + 1)
        sums = sums.index_add(0, self.word_S, torch.cat([y_SK, ones_S], 1))[:-1]
        return sums[:, :-1] / sums[:, -1:]

    def apart(self, values_W: np.ndarray) -> list[np.ndarray]:
        """What is said of each word, text by text."""
        return np.split(values_W, np.cumsum(self.lengths)[:-1])


@dataclass(frozen=True)
class WordBatch:
    """Texts whose words have tags, and perhaps a class for each."""

    inputs: Texts
    words: Words
    labels: Tensor
    """`(N,)` class numbers; -1 where there are none."""
    ids: Tensor
    """`(N,)` row numbers."""

    @classmethod
    def of(cls, samples: TextSamples) -> WordBatch:
        """Samples as a batch."""
        return cls(Texts.of(samples), Words.of(samples), samples.labels, samples.ids)

    @property
    def size(self) -> int:
        """Texts."""
        return len(self.inputs)

    def to(self, device: torch.device) -> WordBatch:
        """The same batch on `device`; the ids, which only people read, stay."""
        if self.inputs.device == device:
            return self
        labels = self.labels.to(device, non_blocking=True)
        return WordBatch(self.inputs.to(device), self.words.to(device), labels, self.ids)


def types_of(target: Tags) -> tuple[str, ...]:
    """What tags are counted by: the types of entities, or where tags stand alone the tags."""
    if target.scheme == "plain":
        return target.names
    return tuple(sorted({name[2:] for name in target.names if name != OUTSIDE}))


def counted(words: Words, said_W: np.ndarray, target: Tags) -> dict[str, np.ndarray]:
    """What was right: the columns of `metrics/tagging.py`.

    Args:
        words: With their tags.
        said_W: The tag that each was given.
        target: The names of the tags, and how entities are written in them.
    """
    types = {name: number for number, name in enumerate(types_of(target))}
    size = len(words.lengths)
    counts = {name: np.zeros((size, len(types)), np.int64) for name in ("actual", "said", "found")}
    totals = {name: np.zeros(size, np.int64) for name in ("words", "right")}
    given_tags = whole(words, said_W, target)
    for row, (text, given) in enumerate(zip(words.texts, given_tags, strict=True)):
        assert text.tags is not None, "an evaluation of words whose tags are not known"
        actual = np.asarray(text.tags)
        totals["words"][row] = len(actual)
        totals["right"][row] = (actual == given).sum()
        if target.scheme == "plain":
            counts["actual"][row] = np.bincount(actual, minlength=len(types))
            counts["said"][row] = np.bincount(given[given != UNSAID], minlength=len(types))
            counts["found"][row] = np.bincount(actual[actual == given], minlength=len(types))
            continue
        there, told = (
            set(entities_in([target.names[tag] for tag in tags], target.scheme))
            for tags in (actual, given)
        )
        for name, entities in (("actual", there), ("said", told), ("found", there & told)):
            for kind, _, _ in entities:
                counts[name][row, types[kind]] += 1
    return totals | counts


def whole(words: Words, said_W: np.ndarray, target: Tags) -> list[NDArray[np.int64]]:
    """The tag of every word of each text, those without tokens included."""
    names = target.names
    nothing = names.index(OUTSIDE) if OUTSIDE in names else UNSAID
    found = []
    for text, number, said in zip(words.texts, words.numbers, words.apart(said_W), strict=True):
        tags = np.full(_word_count(text, number), nothing, dtype=np.int64)
        tags[number] = said
        found.append(tags)
    return found


def described(text: Text, tags: Sequence[int], target: Tags) -> dict[str, Any]:
    """What is said of a text, JSON-ready.

    `tags`, and where they mark entities `entities`: the `type` of each, its `text` where the
    words are known, `start` and `stop`: its first word and the one after its last, from 0.
    """
    names = [None if tag == UNSAID else target.names[tag] for tag in tags]
    if target.scheme == "plain":
        return {"tags": names}
    entities = []
    for kind, start, stop in entities_in([name or OUTSIDE for name in names], target.scheme):
        found: dict[str, Any] = {"type": kind, "start": start, "stop": stop}
        if text.written is not None:
            found["text"] = "".join(text.written[start:stop]).strip()
        entities.append(found)
    return {"entities": entities, "tags": names}


def _word_count(text: Text, numbers: NDArray[np.int64]) -> int:
    if text.tags is not None:
        return len(text.tags)
    if text.written is not None:
        return len(text.written)
    return int(numbers.max(initial=-1)) + 1


def _tags(texts: Sequence[Text], numbers: Sequence[NDArray[np.int64]]) -> Tensor | None:
    known = []
    for text, number in zip(texts, numbers, strict=True):
        if text.tags is None:
            return None
        known.append(np.asarray(text.tags)[number])
    return torch.from_numpy(np.concatenate(known).astype(np.int64))
