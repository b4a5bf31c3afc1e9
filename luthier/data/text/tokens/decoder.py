"""Text out of tokens that come one by one."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence, Set
from typing import Protocol


class Decoder(Protocol):
    """Gives text as soon as it is sure: never half a character."""

    def push(self, token: int) -> str:
        """The text that is sure now and was not given yet."""
        ...

    def finish(self) -> str:
        """The rest. All that was given is then what the whole sequence decodes to."""
        ...

    def settle(self) -> None:
        """Counts what is held back as given: the tokens so far make a text that is whole."""
        ...


class ByteDecoder:
    """Of tokens that are bytes.

    Args:
        bytes_of: The bytes that a token adds to the text.
    """

    def __init__(self, bytes_of: Callable[[int], bytes]) -> None:
        self._bytes_of = bytes_of
        self._characters = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """The characters that are whole with this token."""
        return self._characters.decode(self._bytes_of(token))

    def finish(self) -> str:
        """U+FFFD for a character that was begun."""
        return self._characters.decode(b"", final=True)

    def settle(self) -> None:
        """Forgets a character that was begun."""
        self._characters.reset()


class WindowDecoder:
    """Of tokens whose text hangs on what is around them: a space, or none, before a word.

    What a token adds is the difference that it makes to the text of the few tokens before it. So
    the cost of a token does not grow with the length of the text.

    Args:
        decode: The text of some tokens.
        left_out: Whether a token is no part of the text.
        unsettled: Tokens that the next one may change: bytes of a character that is not whole.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        left_out: Callable[[int], bool],
        unsettled: Set[int],
    ) -> None:
        self._decode = decode
        self._left_out = left_out
        self._unsettled = unsettled
        self._window: list[int] = []
        self._shown = 0
        """Characters of the window's text that were given already."""
        self._fresh = 0
        """Where the tokens begin that were pushed since text was given."""

    def push(self, token: int) -> str:
        """What the token adds, unless the next one may change it."""
        if self._left_out(token):
            return ""
        self._window.append(token)
        if token in self._unsettled:
            return ""
        text = self._decode(self._window)
        if len(text) <= self._shown or text.endswith("\ufffd"):
            return ""
        given = text[self._shown :]
        self._shorten(len(text))
        return given

    def _shorten(self, shown: int) -> None:
        """Leave what the next token needs before it: something that has a text."""
        recent = self._window[self._fresh :]
        recent_text = self._decode(recent)
        if recent_text:
            self._window, shown = recent, len(recent_text)
        self._shown = shown
        self._fresh = len(self._window)

    def finish(self) -> str:
        """The text that was held back."""
        return self._decode(self._window)[self._shown :]

    def settle(self) -> None:
        """Counts the text that is held back as given."""
        self._shorten(len(self._decode(self._window)))
