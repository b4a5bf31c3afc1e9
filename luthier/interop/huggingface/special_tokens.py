"""Which tokens of a folder have a meaning of their own, as its files say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from luthier.data.purpose import Special
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.interop.huggingface.config import Config
from luthier.interop.huggingface.folder import (
    GENERATION,
    SPECIAL_TOKENS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    ModelFiles,
)

SpecialTokens = Mapping[Special, int]
"""The number of the token that serves as each; those that there are."""

THEIR_NAMES: Mapping[Special, tuple[str, ...]] = {
    "end": ("eos",),
    "first": ("bos", "cls"),
    "separator": ("sep",),
    "pad": ("pad",),
    "mask": ("mask",),
    "unknown": ("unk",),
}
"""What Hugging Face calls them, without `_token`; the likeliest first."""


def special_tokens(
    folder: ModelFiles, config: Config, tokenizer: Tokenizer | None
) -> SpecialTokens:
    """The special tokens of a folder: as its tokenizer's files name them, else by the numbers in
    config.json, else by their usual names.

    Raises:
        InputError: If the files name a token that the tokenizer has not.
    """
    named = {**_names(folder.json(SPECIAL_TOKENS)), **_names(folder.json(TOKENIZER_CONFIG))}
    found: dict[Special, int] = {}
    for special, words in THEIR_NAMES.items():
        number = next(_numbers(words, named, config, tokenizer, folder), None)
        if number is None and tokenizer is not None:
            number = tokenizer.special(special)
        if number is not None:
            found[special] = number
    return found


def ends(folder: ModelFiles, config: Config) -> tuple[int, ...]:
    """The tokens of which each ends a text, as generation_config.json says, else config.json.

    Raises:
        InputError: If these are no numbers of tokens.
    """
    source = folder.json(GENERATION) or {}
    given = source.get("eos_token_id", config.values.get("eos_token_id"))
    numbers = given if isinstance(given, list) else [] if given is None else [given]
    if not all(_is_token(number) for number in numbers):
        raise InputError(
            f"{folder.path}: eos_token_id: got {given!r:.60}, wanted numbers of tokens"
        )
    return tuple(numbers)


def _numbers(
    words: tuple[str, ...],
    named: Mapping[str, str],
    config: Config,
    tokenizer: Tokenizer | None,
    folder: ModelFiles,
) -> Iterator[int]:
    for word in words:
        name = named.get(f"{word}_token")
        if name is not None and tokenizer is not None:
            number = tokenizer.number(name)
            if number is None:
                raise InputError(
                    f'{folder.path}: names "{name}" as its {word}_token, which {TOKENIZER} has '
                    "not; these files do not belong together"
                )
            yield number
    for word in words:
        given = config.values.get(f"{word}_token_id")
        if _is_token(given):
            yield given


def _is_token(number: Any) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0


def _names(about: Mapping[str, Any] | None) -> dict[str, str]:
    """The names of special tokens in a file: a text, or settings with its content."""
    found = {}
    for key, value in (about or {}).items():
        content = value.get("content") if isinstance(value, dict) else value
        if key.endswith("_token") and isinstance(content, str):
            found[key] = content
    return found
