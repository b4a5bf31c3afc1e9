"""What the tokens of a tokenizer are made of: their bytes, and which of them go on with a word.

Dimension key, for the whole file:
    V  tokens of the tokenizer      L  tokens of a text
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from luthier.data.text.tokens.byte_letters import token_bytes
from luthier.data.text.tokens.tokenizer import BYTE_TOKENS, WORD_BEGIN, Tokenizer

NEVER, AFTER_A_WORD, ALWAYS = 0, 1, 2
"""When a token goes on with the word of the one before it."""
LARGEST_LEAD_OF_A_LETTER = 0xDF
"""First bytes of characters of two bytes: alphabets, mostly. Those of longer ones are higher."""
_WIDE = ("W", "F")


@dataclass(frozen=True)
class Vocabulary:
    """The bytes of each token, as it would stand in a text.

    Args:
        contents: By number; empty of special tokens.
        inner: Where no token begins with a space, those that go on with a word, as those with
            `##` of WordPiece; none where a token shows it by what it is made of.
    """

    contents: tuple[bytes, ...]
    inner: frozenset[int] | None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """Of a tokenizer's own file."""
        file = json.loads(tokenizer.to_json())
        model = file["model"]
        vocab = model["vocab"]
        if not isinstance(vocab, Mapping):  # of unigram: names with their scores
            vocab = {name: number for number, (name, _) in enumerate(vocab)}
        special = {token["id"] for token in file["added_tokens"] if token["special"]}
        names = {number: name for name, number in vocab.items()}
        names |= {token["id"]: token["content"] for token in file["added_tokens"]}
        within_words = model["type"] in ("WordPiece", "WordLevel")
        marked = model.get("continuing_subword_prefix")
        byte_level = _is_byte_level(file["decoder"])
        contents, inner = [], set()
        for number in range(tokenizer.size):
            name = names.get(number, "")
            if within_words and marked and name.startswith(marked) and number not in special:
                inner.add(number)
                name = name.removeprefix(marked)
            found = _content(name, byte_level=byte_level)
            contents.append(b"" if number in special else found)
        return cls(tuple(contents), frozenset(inner) if within_words else None)

    @property
    def sizes(self) -> NDArray[np.uint16]:
        """`(V,)`, UTF-8 bytes of each."""
        return np.array([len(content) for content in self.contents], dtype=np.uint16)


class WordBounds:
    """Tells which tokens go on with a word, by what they and the tokens before them are made of.

    A letter or a digit after a letter or a digit goes on, and so does the rest of a character.
    What is wide (a Chinese character) is a word of its own, as in BERT.

    Args:
        vocabulary: Of the tokenizer.

    Source:
        Whole-word masking, in the code published with BERT (Devlin et al. 2019), for tokens
        that are not marked there.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        goes_on, open_ends = [], []
        for number, content in enumerate(vocabulary.contents):
            begin, end = _bounds(content)
            if vocabulary.inner is not None:
                begin = ALWAYS if number in vocabulary.inner else NEVER
            goes_on.append(begin)
            open_ends.append(end)
        self._goes_on = np.array(goes_on, dtype=np.uint8)
        self._is_open = np.array(open_ends, dtype=bool)

    def continuing(self, tokens: NDArray[np.integer[Any]], before: int | None) -> NDArray[np.uint8]:
        """`(L,)`, 1 where a token goes on with the word of the one before it.

        Args:
            tokens: `(L,)`.
            before: The token before the first; none where a text begins.
        """
        if not len(tokens):
            return np.zeros(0, dtype=np.uint8)
        after_open = np.empty(len(tokens), dtype=bool)
        after_open[0] = before is not None and self._is_open[before]
        after_open[1:] = self._is_open[tokens[:-1]]
        goes_on = self._goes_on[tokens]
        found = (goes_on == ALWAYS) | ((goes_on == AFTER_A_WORD) & after_open)
        found[0] &= before is not None
        continuing: NDArray[np.uint8] = found.astype(np.uint8)
        return continuing


def _is_byte_level(decoder: Mapping[str, Any] | None) -> bool:
    if decoder is None:
        return False
    inner = decoder.get("decoders", [])
    return decoder["type"] == "ByteLevel" or any(_is_byte_level(part) for part in inner)


def _content(name: str, *, byte_level: bool) -> bytes:
    if byte_level:
        return token_bytes(name)
    if name in BYTE_TOKENS:
        return bytes([BYTE_TOKENS[name]])
    return name.replace(WORD_BEGIN, " ").encode()


def _bounds(content: bytes) -> tuple[int, bool]:
    """How a token begins, and whether a word goes on behind it.

    Example:
        >>> _bounds(b"ing"), _bounds(b" play"), _bounds(b"."), _bounds("詩".encode()[1:])
        ((1, True), (0, True), (0, False), (2, True))
    """
    if not content:
        return NEVER, False
    text = content.decode(errors="surrogateescape")
    begin = AFTER_A_WORD if _is_narrow_letter(text[0]) else NEVER
    if 0x80 <= content[0] < 0xC0:
        begin = ALWAYS
    elif 0xDC80 <= ord(text[0]) <= 0xDCFF and content[0] <= LARGEST_LEAD_OF_A_LETTER:
        begin = AFTER_A_WORD
    rest_of_a_character = re.search("[\udc80-\udcbf]$", text) is not None
    return begin, rest_of_a_character or _is_narrow_letter(text[-1])


def _is_narrow_letter(character: str) -> bool:
    return character.isalnum() and unicodedata.east_asian_width(character) not in _WIDE
