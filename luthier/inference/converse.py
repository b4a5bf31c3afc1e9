"""A text that a person and a network write in turns."""

from __future__ import annotations

from luthier.data.text.tokenizer import Tokenizer
from luthier.inference.generate import Generated, Told, generate
from luthier.inference.sampling import SamplingSpec
from luthier.model.blueprint import Network
from luthier.placement.placed import Placed


class Conversation:
    """The text so far. The network sees its end, as much as fits with what is to be written.

    Args:
        placed: A language network, where it runs.
        tokenizer: Its tokenizer.
        spec: How the network's turns are written.
    """

    def __init__(self, placed: Placed, tokenizer: Tokenizer, spec: SamplingSpec) -> None:
        self.text = ""
        self._placed = placed
        self._tokenizer = tokenizer
        self._spec = spec

    def say(self, text: str, told: Told | None = None) -> Generated:
        """Adds `text`, and what the network writes after it."""
        self.text += text
        written = generate(self._placed, self._tokenizer, [self._end()], self._spec, told)[0]
        self.text += written.text + "\n"
        return written

    def _end(self) -> str:
        network = self._placed.network
        assert isinstance(network, Network)
        context = network.reads.shape[0]
        room = max(context // 2, context - self._spec.max_tokens) - 1
        tokens = self._tokenizer.encode([self.text])[0].tokens
        return self.text if len(tokens) <= room else self._tokenizer.decode(tokens[-room:])
