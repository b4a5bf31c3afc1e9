"""A tokenizer in use: texts to tokens and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models

from luthier.data.purpose import Special
from luthier.data.text.tokens.byte_letters import token_bytes
from luthier.data.text.tokens.cutting import MOST, PROBES, Break, batches, valid
from luthier.data.text.tokens.decoder import ByteDecoder, Decoder, WindowDecoder
from luthier.data.text.tokens.pieces import (
    NO_WORD,
    Part,
    Pieces,
    Spelled,
    joined,
    narrow,
    sizes_from_ends,
)
from luthier.data.text.tokens.special import find_special
from luthier.errors import DataError

__all__ = ["Decoder", "Pieces", "Special", "Tokenizer"]

LibraryError = Exception
"""All that the tokenizers library raises for a file that it cannot use is this very class."""
UNUSUAL = "𒀭 ꙮ"
"""A text that hardly a vocabulary knows."""
MAX_SIZE = 2**22
"""Far above any vocabulary in use; a network has a vector for each number up to the highest."""
VISIBLE_SPACE = "␣"
WORD_BEGIN = "▁"
"""What SentencePiece writes for a space."""
BYTE_TOKENS = {f"<0x{byte:02X}>": byte for byte in range(256)}
"""What SentencePiece writes for the bytes of a character that its vocabulary lacks."""


class Tokenizer:
    """A tokenizer of the tokenizers library, with what training and generation need of it.

    A special token's name in a text is text: only numbers make a special token, so that no
    document can end itself.

    Args:
        inner: Taken over, and set not to cut and not to fill up texts.
        vocab: Tokens that a network has vectors for; none means as many as there are. Of more,
            the last ones stand for nothing.

    Example:
        >>> from tokenizers import models, pre_tokenizers
        >>> inner = tokenizers.Tokenizer(models.WordLevel({"?": 0, "a": 1, "b": 2}, unk_token="?"))
        >>> inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        >>> pieces = Tokenizer(inner).encode(["a  b"])[0]
        >>> pieces.tokens.tolist(), pieces.bytes.tolist()
        ([1, 2], [1, 3])
    """

    def __init__(self, inner: tokenizers.Tokenizer, vocab: int | None = None) -> None:
        inner.no_truncation()
        inner.no_padding()
        inner.encode_special_tokens = True
        self._inner = inner
        self._vocab = vocab
        numbers = inner.get_vocab(with_added_tokens=True)
        self._names: dict[int, str] = {number: name for name, number in numbers.items()}
        added = inner.get_added_tokens_decoder()
        self._special_numbers = frozenset(n for n, token in added.items() if token.special)
        self._added = {token.content: number for number, token in added.items()}
        self._numbers = numbers
        self._byte_level = isinstance(inner.decoder, decoders.ByteLevel)

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """The tokenizer of a tokenizer.json.

        Raises:
            DataError: If it is none.
        """
        try:
            inner = tokenizers.Tokenizer.from_str(text)
            inner.encode(UNUSUAL)  # a file may lack the token that it names for unknown words
        except LibraryError as error:
            if type(error) is not LibraryError:
                raise
            raise DataError(
                f"no tokenizer.json that the tokenizers library {tokenizers.__version__} can read: "
                f"{error}"
            ) from None
        made = cls(inner)
        if made.size > MAX_SIZE:
            raise DataError(f"numbers tokens up to {made.size - 1:,}; at most {MAX_SIZE:,} will do")
        return made

    def to_json(self) -> str:
        """A standard tokenizer.json."""
        text: str = self._inner.to_str(pretty=True)
        return text

    @cached_property
    def fingerprint(self) -> str:
        """Equal for tokenizers that do the same."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=16).hexdigest()

    @cached_property
    def size(self) -> int:
        """Tokens, special ones included: one more than the highest number."""
        return max(self.own_size, self._vocab or 0)

    @cached_property
    def own_size(self) -> int:
        """The same, of its own file, whatever a network has vectors for."""
        return max(self._names, default=-1) + 1

    def of_a_network(self, vocab: int) -> Tokenizer:
        """The same, for a network that has vectors for `vocab` tokens.

        Raises:
            DataError: If these are too few.
        """
        if self.own_size > vocab:
            raise DataError(
                f"numbers tokens up to {self.own_size - 1:,}, but the network has vectors for "
                f"{vocab:,}"
            )
        return Tokenizer(self._inner, vocab)

    def with_added(self, names: Sequence[str]) -> Tokenizer:
        """The same, with more tokens: each is cut out of a text whole, wherever it stands.

        Raises:
            DataError: If one of them is a token already.
        """
        there = [name for name in names if self.number(name) is not None]
        if there:
            raise DataError(f"has the token {there[0]} already")
        inner = tokenizers.Tokenizer.from_str(self.to_json())
        inner.add_tokens([tokenizers.AddedToken(name, normalized=False) for name in names])
        return Tokenizer(inner, self._vocab)

    @cached_property
    def opening(self) -> int | None:
        """The token that its file puts before each text; none where it puts none."""
        own = self._ids("a")
        whole: list[int] = self._inner.encode("a", add_special_tokens=True).ids
        return whole[0] if whole[1 : 1 + len(own)] == own and whole != own else None

    def special(self, name: Special) -> int | None:
        """The number of the token that serves as `name`; none if there is no such token."""
        found = find_special(name, self._added)
        if found is None and name == "unknown":
            found = self._model_unknown
        # In a byte-level vocabulary an ordinary token may look like one: it is a piece of text.
        if found is None and not self._byte_level:
            found = find_special(name, self._numbers)
        return found

    def number(self, name: str) -> int | None:
        """The number of the token of that name, special or not; none if there is no such token."""
        return self._numbers.get(name)

    def name(self, number: int) -> str:
        """What its file calls a token.

        Raises:
            KeyError: If there is no such token.
        """
        return self._names[number]

    @cached_property
    def _model_unknown(self) -> int | None:
        model = self._inner.model
        if not isinstance(model, models.BPE | models.WordPiece | models.WordLevel):
            return None
        return None if model.unk_token is None else self._numbers.get(model.unk_token)

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """The tokens of each text, with no special tokens around them; all cores take part.

        Long texts are cut where that changes no token, and after a million characters anywhere.
        A lone surrogate is read as U+FFFD.

        Args:
            texts: Any texts, of any length.
        """
        found: list[list[Part]] = [[] for _ in texts]
        for owners, pieces in batches(texts, self._breaks):
            for owner, part in zip(owners, self._parts(pieces), strict=True):
                found[owner].append(part)
        return [joined(parts) for parts in found]

    def _parts(self, pieces: list[str]) -> Iterator[Part]:
        if not self._sizes_are_known:
            for piece, encoding in zip(
                pieces, self._inner.encode_batch(pieces, add_special_tokens=False), strict=True
            ):
                yield _part(piece, encoding)
            return
        fast = self._inner.encode_batch_fast(pieces, add_special_tokens=False)
        for piece, encoding in zip(pieces, fast, strict=True):
            tokens = np.array(encoding.ids, dtype=np.int32)
            sizes, size = self._sizes[tokens], len(piece.encode())
            if sizes.sum() == size:
                yield Part(tokens, sizes, size)
            else:  # what normalizes the text changed it
                yield _part(piece, self._inner.encode(piece, add_special_tokens=False))

    @cached_property
    def _sizes_are_known(self) -> bool:
        """Whether the bytes of a token are the bytes of the text: then no offsets are needed."""
        probe = "a b"
        return self._byte_level and self._sizes[self._ids(probe)].sum() == len(probe)

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return np.array([len(self._bytes_of(token)) for token in range(self.size)], dtype=np.int64)

    @cached_property
    def _breaks(self) -> tuple[Break, ...]:
        """Where a text can be cut so that its parts give the tokens of the whole."""
        return tuple(
            place
            for place, before, after in PROBES
            if self._ids(before + after) == self._ids(before) + self._ids(after)
        )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._inner.encode(text, add_special_tokens=False).ids
        return ids

    def encode_rendered(self, texts: Sequence[str]) -> list[Spelled]:
        """The tokens of each text, in which the names of special tokens stand for these tokens.

        Only for texts that luthier wrote itself, such as conversations in the form that a
        template gives them.
        """
        encodings = self._named.encode_batch(
            [valid(text) for text in texts], add_special_tokens=False
        )
        return [Spelled.of(encoding.ids, encoding.offsets) for encoding in encodings]

    @cached_property
    def _named(self) -> tokenizers.Tokenizer:
        inner = tokenizers.Tokenizer.from_str(self._inner.to_str())
        inner.encode_special_tokens = False
        return inner

    @property
    def special_names(self) -> dict[str, int]:
        """The numbers of all special tokens, by name."""
        return {self._names[number]: number for number in sorted(self._special_numbers)}

    def encode_words(self, sentences: Sequence[Sequence[str]]) -> list[Pieces]:
        """The tokens of sentences whose words are known; each word has at least one.

        A word is encoded as if it stood alone. The bytes are those of the words, without what
        stood between them.

        Args:
            sentences: The words of each.
        """
        found: list[Pieces] = []
        batch: list[list[str]] = []
        size = 0
        for sentence in sentences:
            batch.append([valid(word) for word in sentence])
            size += sum(map(len, sentence))
            if size >= MOST:
                found += self._worded(batch)
                batch, size = [], 0
        return found + self._worded(batch)

    def _worded(self, sentences: list[list[str]]) -> list[Pieces]:
        encodings = self._inner.encode_batch(
            sentences, is_pretokenized=True, add_special_tokens=False
        )
        return [
            self._with_words(words, encoding)
            for words, encoding in zip(sentences, encodings, strict=True)
        ]

    def _with_words(self, words: list[str], encoding: Any) -> Pieces:
        tokens = np.array(encoding.ids, dtype=np.int32)
        owners = np.array(
            [NO_WORD if word is None else word for word in encoding.word_ids], dtype=np.int32
        )
        starts = np.cumsum([0, *map(len, words)])
        ends = starts[owners] + _ends(encoding)
        missing = np.setdiff1d(np.arange(len(words), dtype=np.int32), owners)
        if len(missing):
            tokens = np.concatenate([tokens, np.full(len(missing), self._stand_in, np.int32)])
            owners = np.concatenate([owners, missing])
            ends = np.concatenate([ends, starts[missing + 1]])
            order = np.argsort(owners, kind="stable")
            tokens, owners, ends = tokens[order], owners[order], ends[order]
        sizes = sizes_from_ends(ends, "".join(words))
        return Pieces(tokens=tokens, bytes=narrow(sizes), words=owners)

    @cached_property
    def _stand_in(self) -> int:
        """For a word that gives no token: unknown, else a space."""
        unknown = self.special("unknown")
        return unknown if unknown is not None else self._ids(" ")[0]

    def decode(self, tokens: Sequence[int] | NDArray[Any], *, specials: bool = False) -> str:
        """The text of some tokens. A number that no token has adds nothing.

        Args:
            tokens: Their numbers.
            specials: Whether the names of special tokens are part of the text.
        """
        numbers = np.asarray(tokens, dtype=np.int64).tolist()
        if self._byte_level:
            shown = self._bytes_of if specials else self._text_bytes_of
            return b"".join(map(shown, numbers)).decode(errors="replace")
        return self._joined([n for n in numbers if self._is_text(n, specials)])

    def _is_text(self, token: int, specials: bool) -> bool:
        return token in self._names and (specials or token not in self._special_numbers)

    def _joined(self, tokens: Sequence[int]) -> str:
        text: str = self._inner.decode(tokens, skip_special_tokens=False)
        return text

    def decoder(self, *, specials: bool = False, after: Sequence[int] = ()) -> Decoder:
        """To decode tokens as they come.

        Args:
            specials: Whether the names of special tokens are part of the text.
            after: Tokens that came before, whose text is known: whether a word at the beginning
                gets a space hangs on them.
        """
        made: Decoder
        if self._byte_level:
            made = ByteDecoder(self._bytes_of if specials else self._text_bytes_of)
        else:
            made = WindowDecoder(
                self._joined, lambda token: not self._is_text(token, specials), self._byte_tokens
            )
        for token in after:
            made.push(token)
        made.settle()
        return made

    def token_text(self, token: int) -> str:
        """How a person sees one token: on one line, spaces visible.

        Example:
            ` café` is `␣café`, a part of a character `\\xe4\\xb8`, a line end `\\n`.
        """
        name = self._names.get(token, "")
        if self._byte_level:
            name = self._bytes_of(token).decode(errors="backslashreplace")
        return "".join(_visible(letter) for letter in name)

    @cached_property
    def _byte_tokens(self) -> frozenset[int]:
        return frozenset(self._numbers[name] for name in BYTE_TOKENS.keys() & self._numbers.keys())

    def _bytes_of(self, token: int) -> bytes:
        return self._byte_table.get(token, b"")

    def _text_bytes_of(self, token: int) -> bytes:
        return b"" if token in self._special_numbers else self._bytes_of(token)

    @cached_property
    def _byte_table(self) -> dict[int, bytes]:
        return {number: token_bytes(name) for number, name in self._names.items()}


def _part(piece: str, encoding: Any) -> Part:
    tokens = np.array(encoding.ids, dtype=np.int32)
    return Part(tokens, sizes_from_ends(_ends(encoding), piece), len(piece.encode()))


def _ends(encoding: Any) -> NDArray[np.int64]:
    """Behind the last character of each token."""
    offsets = encoding.offsets
    return np.fromiter((end for _, end in offsets), dtype=np.int64, count=len(offsets))


def _visible(letter: str) -> str:
    if letter in (" ", WORD_BEGIN):
        return VISIBLE_SPACE
    return letter if letter.isprintable() else repr(letter)[1:-1]
