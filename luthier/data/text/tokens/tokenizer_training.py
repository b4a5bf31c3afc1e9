"""From the tokenizer section of a recipe to a tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated

from pydantic import Field

from luthier.data.purpose import Special
from luthier.data.text.tokens.learned import Progress, excerpt
from luthier.data.text.tokens.special import own_name
from luthier.data.text.tokens.subwords import BpeSpec, UnigramSpec, WordpieceSpec
from luthier.data.text.tokens.symbols import BytesSpec, CharactersSpec, WordsSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_file import TokenizerFileSpec
from luthier.errors import DataError

TokenizerSpec = Annotated[
    BpeSpec
    | WordpieceSpec
    | UnigramSpec
    | BytesSpec
    | CharactersSpec
    | WordsSpec
    | TokenizerFileSpec,
    Field(discriminator="kind"),
]
"""Every tokenizer that a recipe can name: the kinds of data.tokenizer."""

LEARNING = "learning the tokens"


def train_tokenizer(
    spec: TokenizerSpec,
    texts: Iterable[str],
    *,
    specials: Sequence[Special],
    marks: Sequence[str] = (),
    progress: Progress | None = None,
) -> Tokenizer:
    """The tokenizer that `spec` describes; the same texts give the same one.

    Args:
        spec: How it is made, or which file has it.
        texts: To learn from; only the first `train_bytes` of them are read, if any.
        specials: What the task needs a token for: these are numbered first, in this order. All
            kinds that lack some characters have unknown too.
        marks: Names of more special tokens, such as those of a chat template. A tokenizer from a
            file has its own.
        progress: Told what is being done, and how far it is.

    Raises:
        SpecError: If the vocabulary is too small, or the file cannot be used.
        DataError: If the texts are empty.

    Example:
        >>> tokenizer = train_tokenizer(CharactersSpec(), ["abba"], specials=["end"])
        >>> tokenizer.size, tokenizer.encode(["ab?"])[0].tokens.tolist()
        (4, [2, 3, 1])
    """
    if isinstance(spec, TokenizerFileSpec):
        return spec.read(specials)
    names = list(dict.fromkeys(map(own_name, specials)))
    names += [mark for mark in marks if mark not in names]
    if isinstance(spec, BytesSpec):
        return Tokenizer(spec.build(names))
    if not isinstance(spec, BpeSpec) and own_name("unknown") not in names:
        names.append(own_name("unknown"))
    pieces = excerpt(texts, spec.train_bytes, progress)
    first = next(pieces, None)
    if first is None:
        raise DataError("the training texts are empty; wanted texts to learn a tokenizer from")
    learned = spec.learn(chain([first], pieces), names)
    if progress is not None:
        progress(LEARNING, 1, 1)
    return Tokenizer(learned)
