"""A text that a person and a network write in turns."""

from __future__ import annotations

import sys

from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.inference.bounds import Bounds
from luthier.inference.generate import Told, context_of, prompt_tokens, write_on
from luthier.inference.sampling import SamplingSpec
from luthier.placement.placed import Placed


class Conversation:
    """The text so far. The network sees its end, as much as fits with what is to be written.

    Args:
        placed: A language network, where it runs.
        tokenizer: Its tokenizer.
        spec: How the network's turns are written; each draws numbers of its own.
        bounds: What the text begins with, and what ends a turn; none means the end token of the
            tokenizer.
    """

    def __init__(
        self,
        placed: Placed,
        tokenizer: Tokenizer,
        spec: SamplingSpec,
        bounds: Bounds | None = None,
    ) -> None:
        self.text = ""
        self._placed = placed
        self._tokenizer = tokenizer
        self._spec = spec
        self._bounds = bounds or Bounds.of(tokenizer)
        self._turns = 0

    def say(self, text: str, told: Told | None = None) -> str:
        """Adds `text`, and what the network writes after it, which is returned.

        Raises:
            InputError: If the text so far is empty, and no token begins a document.
        """
        self.text += text
        [written] = write_on(
            self._placed,
            self._tokenizer,
            [self._end()],
            self._spec,
            told,
            first=self._turns,
            ends=self._bounds.ends,
        )
        self.text += written.text + "\n"
        self._turns += 1
        return written.text

    def _end(self) -> list[int]:
        """The newest tokens of the text, with room for what is to be written."""
        [tokens] = prompt_tokens(
            self._tokenizer, [self.text], sys.maxsize, "text", bounds=self._bounds
        )
        context = context_of(self._placed)
        return tokens[-max(1, context // 2, context - self._spec.max_tokens) :]
