"""A tokenizer from a tokenizer.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from luthier.data.purpose import Special
from luthier.data.readers.place import existing
from luthier.data.text.tokens.learned import PLACE
from luthier.data.text.tokens.special import USUAL_NAMES
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import DataError, Problem, SpecError
from luthier.spec import Many, Spec

FILE_NAME = "tokenizer.json"
MAX_BYTES = 256 * 2**20


class TokenizerFileSpec(Spec):
    """A tokenizer that is finished: any tokenizer.json of the Hugging Face kind."""

    kind: Literal["file"] = "file"

    path: str
    """The tokenizer.json, or the folder that holds it."""
    vocab: int | None = Field(default=None, ge=1)
    """Tokens that the network has vectors for, where these are more than the file has; `start`
    sets it."""

    added: Many[str] = ()
    """Tokens that are added to those of the file; `new_tokens` of the recipe sets it."""

    def read(self, specials: Sequence[Special]) -> Tokenizer:
        """The tokenizer of the file.

        Args:
            specials: What the task needs a token for.

        Raises:
            SpecError: If the file is missing, is no tokenizer, or has no token for one of these.
        """
        try:
            place = self._place()
            text = _content(place)
        except DataError as error:
            raise _wrong(str(error)) from None
        try:
            tokenizer = Tokenizer.from_json(text)
            if self.added:
                tokenizer = tokenizer.with_added(self.added)
            if self.vocab is not None:
                tokenizer = tokenizer.of_a_network(self.vocab)
        except DataError as error:
            raise _wrong(f"{place}: {error}") from None
        lacking = [name for name in specials if tokenizer.special(name) is None]
        if lacking:
            wanted = "; ".join(f"{name} ({', '.join(USUAL_NAMES[name])})" for name in lacking)
            raise _wrong(
                f"{place}: lacks special tokens that the task needs: {wanted}; add one to the "
                "file, or let luthier train a tokenizer: {kind: bpe}"
            )
        return tokenizer

    def _place(self) -> Path:
        place = existing(self.path, f"a {FILE_NAME}")
        return existing(str(place / FILE_NAME), f"a {FILE_NAME}") if place.is_dir() else place


def _content(place: Path) -> str:
    try:
        size = place.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{place}: has {size:,} bytes; a {FILE_NAME} has at most {MAX_BYTES:,}")
        return place.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{place}: is no text; wanted a {FILE_NAME}") from None


def _wrong(message: str) -> SpecError:
    return SpecError([Problem(place=f"{PLACE}.path", message=message)])
