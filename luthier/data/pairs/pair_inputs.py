"""Sources that somebody gives to a finished model that writes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from luthier.data.pairs.pair_examples import PairSamples
from luthier.data.text.labelled.found import CutOff, problem_with
from luthier.data.text.labelled.inputs import ABOUT, Given, listed_texts
from luthier.data.text.labelled.text_examples import TOKENS_AT_ONCE
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_file import FILE_NAME
from luthier.errors import DataError
from luthier.spec import Many, Spec, parse

TARGET_FILE = "target_tokenizer.json"
MOST_AT_ONCE = 64


class PairForm(Spec):
    """How a source becomes the tokens that a network reads: kept with a finished model."""

    kind: Literal["pairs"] = "pairs"
    context: int = Field(ge=1)
    """The most tokens of a source, with those around it."""
    before: Many[int] = ()
    """Tokens before each source."""
    behind: Many[int] = ()
    """Tokens behind each."""
    cut: CutOff = "end"
    """What is cut off of a source that is longer."""

    def framed(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """The tokens of a source, cut, with those around them."""
        room = self.context - len(self.before) - len(self.behind)
        kept = tokens[:room] if self.cut == "end" else tokens[max(len(tokens) - room, 0) :]
        return np.array([*self.before, *kept.tolist(), *self.behind], dtype=np.int32)


class PairInputs:
    """Makes samples of sources, and of the lines of files.

    Args:
        tokenizer: Of the sources.
        target_tokenizer: Of what is written; the same, where both sides have one.
        form: As the training sources had it.
    """

    def __init__(self, tokenizer: Tokenizer, target_tokenizer: Tokenizer, form: PairForm) -> None:
        self.tokenizer = tokenizer
        self.target_tokenizer = target_tokenizer
        self.form = form

    @classmethod
    def from_files(cls, read: Callable[[str], bytes | bytearray]) -> PairInputs:
        """What `files` gave.

        Args:
            read: Gives the content of a file by its name.
        """
        about = json.loads(bytes(read(ABOUT)))
        separate = about.pop("target_tokenizer")
        own = Tokenizer.from_json(bytes(read(FILE_NAME)).decode())
        other = Tokenizer.from_json(bytes(read(TARGET_FILE)).decode()) if separate else own
        return cls(own, other, parse(PairForm, about))

    def files(self) -> Mapping[str, bytes]:
        """`preprocessing.json`, `tokenizer.json` and, where it is another one,
        `target_tokenizer.json`."""
        separate = self.target_tokenizer is not self.tokenizer
        about = {**self.form.model_dump(mode="json"), "target_tokenizer": separate}
        files = {
            ABOUT: (json.dumps(about, indent=2) + "\n").encode(),
            FILE_NAME: self.tokenizer.to_json().encode(),
        }
        if separate:
            files[TARGET_FILE] = self.target_tokenizer.to_json().encode()
        return files

    def listed(self, given: Sequence[Given]) -> list[str | tuple[str, str]]:
        """Every source: those given, the lines of files, and of standard input for `-`.

        Raises:
            DataError: If a file cannot be read, or there is no text.
        """
        return listed_texts(given)

    def named(self, item: str, index: int) -> str:
        """The text itself."""
        return item

    @property
    def at_once(self) -> int:
        """Sources that go through a network together."""
        return max(1, min(MOST_AT_ONCE, TOKENS_AT_ONCE // self.form.context))

    def samples(self, items: Sequence[str], start: int) -> PairSamples:
        """Tokens of some of the sources.

        Raises:
            DataError: If one of them is empty.
        """
        for index, item in enumerate(items, start):
            if not isinstance(item, str):
                raise DataError(f"inputs[{index}]: got two texts; wanted a source alone")
            if problem := problem_with(item):
                raise DataError(f"inputs[{index}]: {problem}")
        pieces = self.tokenizer.encode([item.strip() for item in items])
        return PairSamples(
            sources=[self.form.framed(piece.tokens) for piece in pieces],
            targets=None,
            rows=None,
            tokenizer=self.target_tokenizer,
            ids=torch.arange(start, start + len(items)),
        )
