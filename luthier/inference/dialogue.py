"""A person and a network that take turns, in the form of the network's chat template."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.data.chat.conversation import Conversation as Turns
from luthier.data.chat.conversation import Message, UnusableRowError
from luthier.data.chat.meter import TemplateLimitError
from luthier.data.chat.tokens import ChatEncoder
from luthier.data.text.labelled.inputs import TextInputs
from luthier.errors import InputError
from luthier.inference.generate import Generated, Told, context_of, write_on
from luthier.inference.sampling import SamplingSpec
from luthier.placement.placed import Placed


class Speaker:
    """A network that answers in the form of its chat template.

    Args:
        inputs: What made the texts that it learned from; with a template.
    """

    def __init__(self, inputs: TextInputs) -> None:
        assert inputs.template is not None
        assert inputs.form.chat is not None
        self.tokenizer = inputs.tokenizer
        self.stops = frozenset(inputs.form.chat.stops)
        self._encoder = ChatEncoder(inputs.template, inputs.tokenizer)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """The tokens that the network goes on from.

        Raises:
            InputError: If the template does not take the messages.
        """
        try:
            return self._encoder.prompt(Turns(name="the conversation", messages=tuple(messages)))
        except (UnusableRowError, TemplateLimitError) as error:
            raise InputError(f"what was said cannot be asked: {error}") from None

    def questions(
        self, texts: Sequence[str], context: int, name: str = "prompt", system: str | None = None
    ) -> list[list[int]]:
        """The tokens that the network goes on from, of each question.

        Args:
            texts: What a user asks.
            context: The most tokens that the network reads.
            name: What one is called, in messages.
            system: The system message before each.

        Raises:
            InputError: If one is empty, or longer than the network reads.
        """
        rows = []
        for number, text in enumerate(texts, 1):
            if not text.strip():
                raise InputError(f"{name} {number} is empty; wanted what the user asks")
            tokens = self.prompt([*opening(system), Message(role="user", content=text)])
            if len(tokens) > context:
                raise InputError(
                    f"{name} {number} has {len(tokens):,} tokens with its template, but the "
                    f"network reads {context:,} at most; give a shorter one"
                )
            rows.append(tokens)
        return rows

    def answers(
        self,
        placed: Placed,
        questions: Sequence[str],
        spec: SamplingSpec,
        told: Told | None = None,
        *,
        system: str | None = None,
    ) -> list[Generated]:
        """An answer to each question, each a conversation of its own.

        Args:
            placed: The network, where it runs.
            questions: What a user asks.
            spec: How answers are written.
            told: Is told the text while it is written.
            system: The system message before each.

        Raises:
            InputError: If one is empty, or longer than the network reads.
        """
        rows = self.questions(questions, context_of(placed), system=system)
        written = write_on(placed, self.tokenizer, rows, spec, told, ends=self.stops)
        return [
            Generated(
                prompt=question,
                text=writing.text.strip(),
                tokens=tuple(writing.tokens),
                ending=writing.ending or "max_tokens",
            )
            for question, writing in zip(questions, written, strict=True)
        ]


class Dialogue:
    """What was said so far. Where it outgrows the context, its oldest turns are no longer read.

    Args:
        placed: The network, where it runs.
        speaker: Its form.
        spec: How its turns are written; each draws numbers of its own.
        system: The system message, which is always read.
    """

    def __init__(
        self, placed: Placed, speaker: Speaker, spec: SamplingSpec, system: str | None = None
    ) -> None:
        self.messages: list[Message] = []
        self._placed = placed
        self._speaker = speaker
        self._spec = spec
        self._system = opening(system)
        self._turns = 0

    def say(self, text: str, told: Told | None = None) -> str:
        """The network's answer to `text`.

        Raises:
            InputError: If the text is empty, or alone is longer than the network reads.
        """
        if not text.strip():
            raise InputError("got an empty message; wanted what the user says")
        asked = Message(role="user", content=text)
        tokens = self._read([*self.messages, asked])
        [written] = write_on(
            self._placed,
            self._speaker.tokenizer,
            [tokens],
            self._spec,
            told,
            first=self._turns,
            ends=self._speaker.stops,
        )
        self._turns += 1
        answer = written.text.strip()
        # A template takes no empty turn, and no second one of the user: this one was not answered.
        if answer:
            self.messages += [asked, Message(role="assistant", content=answer)]
        return answer

    def _read(self, messages: list[Message]) -> list[int]:
        """The newest turns, with room for an answer."""
        context = context_of(self._placed)
        room = max(1, context // 2, context - self._spec.max_tokens)
        for first in range(0, len(messages), 2):
            tokens = self._speaker.prompt([*self._system, *messages[first:]])
            if len(tokens) <= room:
                return tokens
        if len(tokens) > context:
            raise InputError(
                f"the message has {len(tokens):,} tokens with its template, but the network reads "
                f"{context:,} at most; say less"
            )
        return tokens


def opening(system: str | None) -> list[Message]:
    """What stands before the first turn."""
    return [Message(role="system", content=system)] if system else []
