"""A text that a person and a network write in turns."""

from __future__ import annotations

import sys

from luthier.data.text.tokenizer import Tokenizer
from luthier.inference.generate import Told, context_of, prompt_tokens, write_on
from luthier.inference.sampling import SamplingSpec
from luthier.placement.placed import Placed


class Conversation:
    """The text so far. The network sees its end, as much as fits with what is to be written.

    Args:
        placed: A language network, where it runs.
        tokenizer: Its tokenizer.
        spec: How the network's turns are written; each draws numbers of its own.
    """

    def __init__(self, placed: Placed, tokenizer: Tokenizer, spec: SamplingSpec) -> None:
        self.text = ""
        self._placed = placed
        self._tokenizer = tokenizer
        self._spec = spec
        self._turns = 0

    def say(self, text: str, told: Told | None = None) -> str:
        """Adds `text`, and what the network writes after it, which is returned.

        Raises:
            InputError: If the text so far is empty, and no token begins a document.
        """
        self.text += text
        [written] = write_on(
            self._placed, self._tokenizer, [self._end()], self._spec, told, first=self._turns
        )
        self.text += written.text + "\n"
        self._turns += 1
        return written.text

    def _end(self) -> list[int]:
        """The newest tokens of the text, with room for what is to be written."""
        [tokens] = prompt_tokens(self._tokenizer, [self.text], sys.maxsize, "text")
        context = context_of(self._placed)
        return tokens[-max(1, context // 2, context - self._spec.max_tokens) :]
