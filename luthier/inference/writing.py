"""A text as it is written: token by token, up to a stop."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from luthier.data.text.tokens.tokenizer import Decoder

Ending = Literal["end", "stop", "max_tokens"]
"""Why a text ended: the network said so, a stop text came, or it was long enough."""


class Writing:
    """What one row writes.

    Args:
        decoder: Of the tokenizer, for this row alone.
        stops: Texts that end it.
        ends: Tokens of which each ends it: that of a document, those of a reply.
        max_tokens: The most tokens.
    """

    def __init__(
        self, decoder: Decoder, stops: Sequence[str], ends: Collection[int], max_tokens: int
    ) -> None:
        self.tokens: list[int] = []
        self.text = ""
        self.ending: Ending | None = None
        self._decoder = decoder
        self._stops = stops
        self._ends = ends
        self._max_tokens = max_tokens
        self._held = ""

    def add(self, token: int) -> str:
        """One token more. Returns the text that is now sure to be part of what is written."""
        assert self.ending is None, "the text has ended"
        if token in self._ends:
            self.ending = "end"
            return self._settled(self._held + self._decoder.finish())
        self.tokens.append(token)
        self._held += self._decoder.push(token)
        if len(self.tokens) == self._max_tokens:
            self._held += self._decoder.finish()
        found = [place for place in (self._held.find(stop) for stop in self._stops) if place >= 0]
        if found:
            self.ending = "stop"
            return self._settled(self._held[: min(found)])
        if len(self.tokens) == self._max_tokens:
            self.ending = "max_tokens"
            return self._settled(self._held)
        sure = len(self._held) - _begun(self._held, self._stops)
        given, self._held = self._held[:sure], self._held[sure:]
        self.text += given
        return given

    def _settled(self, text: str) -> str:
        self._held = ""
        self.text += text
        return text


def _begun(text: str, stops: Sequence[str]) -> int:
    """Characters at the end of `text` that may be the beginning of a stop.

    Example:
        >>> _begun("so it is\\nUs", ["\\nUser:"])
        3
    """
    longest = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), longest, -1):
            if text.endswith(stop[:length]):
                longest = length
                break
    return longest
