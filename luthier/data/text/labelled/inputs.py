"""Texts that somebody gives to a finished model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import torch

from luthier.data.chat.conversation import Conversation, Message, UnusableRowError
from luthier.data.chat.meter import TemplateLimitError
from luthier.data.chat.template import ChatTemplate
from luthier.data.chat.tokens import ChatEncoder
from luthier.data.readers.lines import read_lines
from luthier.data.readers.place import existing
from luthier.data.readers.stored import Stored
from luthier.data.text.labelled.encoding import TextForm, encode, shape
from luthier.data.text.labelled.found import TextRow, problem_with
from luthier.data.text.labelled.masks import encode_with_masks
from luthier.data.text.labelled.text_examples import TOKENS_AT_ONCE, text_of
from luthier.data.text.labelled.words import divided, words_in
from luthier.data.text.questions.given import questions_given, samples_of
from luthier.data.text.questions.question_examples import QuestionSamples
from luthier.data.text.rows.samples import Text, TextSamples
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_file import FILE_NAME
from luthier.errors import DataError
from luthier.spec import parse

STANDARD_INPUT = "-"
UNKNOWN = -1
ABOUT = "preprocessing.json"
MOST_AT_ONCE = 256
TEMPLATE_FILE = "chat_template.jinja"

Given = str | tuple[str, str] | Path
"""A text, or one with a tab between the two of a pair; a pair; a file with one text a line."""


class TextInputs:
    """Makes samples of texts, and of the lines of files.

    Args:
        tokenizer: Of the training texts.
        form: As the training texts had it.
        template: What renders conversations; where the form says how.
    """

    def __init__(
        self, tokenizer: Tokenizer, form: TextForm, template: ChatTemplate | None = None
    ) -> None:
        assert (form.chat is None) == (template is None)
        self.tokenizer = tokenizer
        self.form = form
        self.template = template

    @classmethod
    def from_files(cls, read: Callable[[str], bytes | bytearray]) -> TextInputs:
        """What `files` gave.

        Args:
            read: Gives the content of a file by its name.
        """
        form = parse(TextForm, json.loads(bytes(read(ABOUT))))
        template = None
        if form.chat is not None:
            template = form.chat.template(bytes(read(TEMPLATE_FILE)).decode())
        return cls(Tokenizer.from_json(bytes(read(FILE_NAME)).decode()), form, template)

    def files(self) -> Mapping[str, bytes]:
        """`preprocessing.json`, `tokenizer.json` and, of conversations, `chat_template.jinja`."""
        about = json.dumps(self.form.model_dump(mode="json"), indent=2) + "\n"
        files = {ABOUT: about.encode(), FILE_NAME: self.tokenizer.to_json().encode()}
        if self.template is not None:
            files[TEMPLATE_FILE] = self.template.source.encode()
        return files

    def listed(self, given: Sequence[Given]) -> list[str | tuple[str, str]]:
        """Every text: those given, the lines of files, and of standard input for `-`.

        Raises:
            DataError: If a file cannot be read, or there is no text.
        """
        if self.form.overlap is not None:
            return list(questions_given(given))
        return listed_texts(given)

    def named(self, item: str | tuple[str, str], index: int) -> str:
        """The text itself; the two of a pair with a tab between; of a question and its context,
        the question."""
        if self.form.overlap is not None:
            return item[0]
        return item if isinstance(item, str) else "\t".join(item)

    @property
    def at_once(self) -> int:
        """Texts that go through a network together."""
        return max(1, min(MOST_AT_ONCE, TOKENS_AT_ONCE // self.form.context))

    def samples(
        self, items: Sequence[str | tuple[str, str]], start: int
    ) -> TextSamples | QuestionSamples:
        """Tokens of some of the texts, with nothing known of them.

        Raises:
            DataError: If one of them is empty, or is no pair where pairs are wanted.
        """
        if self.form.overlap is not None:
            pairs = [item for item in items if isinstance(item, tuple)]
            return samples_of(pairs, start, self.tokenizer, self.form)
        rows = [self._row(item, start + index) for index, item in enumerate(items)]
        if self.template is not None and self.form.pairs:
            return self._answers(rows, self.template, start)
        read = encode_with_masks if self.form.masks else encode
        raw = read(rows, self.tokenizer)
        for row, length in zip(rows, raw.texts.lengths, strict=True):
            if not length:
                raise DataError(f"{row.name}: gives no tokens: {row.text!r:.60}")
        encoded = shape(raw, self.tokenizer, self.form)
        return TextSamples(
            texts=[
                text_of(encoded, number, written=self._written(row))
                for number, row in enumerate(rows)
            ],
            labels=torch.full((len(rows),), UNKNOWN),
            ids=torch.arange(start, start + len(rows)),
            pad=self.tokenizer.special("pad") or 0,
            tokenizer=self.tokenizer,
        )

    def _answers(self, rows: Sequence[TextRow], template: ChatTemplate, start: int) -> TextSamples:
        """Questions and answers, in the form of the template."""
        encoder = ChatEncoder(template, self.tokenizer)
        texts = []
        for row in rows:
            asked = Message(role="user", content=row.text)
            said = Message(role="assistant", content=row.second or "")
            try:
                made = encoder.encoded(Conversation(name=row.name, messages=(asked, said))).answer
            except (UnusableRowError, TemplateLimitError) as error:
                raise DataError(f"{row.name}: {error}") from None
            texts.append(Text(tokens=made.tokens[: self.form.context]))
        ids = torch.arange(start, start + len(rows))
        return TextSamples(texts=texts, labels=torch.full((len(rows),), UNKNOWN), ids=ids)

    def _row(self, item: str | tuple[str, str], index: int) -> TextRow:
        name = f"inputs[{index}]"
        text, second = (item, None) if isinstance(item, str) else item
        if self.form.pairs and second is None:
            text, tab, second = text.partition("\t")
            if not tab:
                raise DataError(
                    f"{name}: got one text, {text!r:.60}; wanted two, with a tab between them"
                )
        elif second is not None and not self.form.pairs:
            raise DataError(f"{name}: got two texts; the model was trained on single ones")
        problem = problem_with(text) or (None if second is None else problem_with(second))
        if problem:
            raise DataError(f"{name}: {problem}")
        words = None if self.form.words is None else divided(text, self.form.words)
        return TextRow(name, text, second, words=words)

    def _written(self, row: TextRow) -> list[str] | None:
        """Each word with what stands between it and the next."""
        if self.form.words is None:
            return None
        places = words_in(row.text, self.form.words)
        ends = [*(start for start, _ in places[1:]), places[-1][1]]
        return [row.text[start:end] for (start, _), end in zip(places, ends, strict=True)]


def listed_texts(given: Sequence[Given]) -> list[str | tuple[str, str]]:
    """Every text: those given, the lines of files, and of standard input for `-`.

    Raises:
        DataError: If a file cannot be read, or there is no text.
    """
    found = [text for item in given for text in _expanded(item)]
    if not found:
        raise DataError("got no text; wanted at least one that is not empty")
    return found


def _expanded(given: Given) -> Iterator[str | tuple[str, str]]:
    """The lines of a file that are not empty; anything else is itself."""
    if isinstance(given, Path):
        yield from _lines(Stored.at(existing(str(given), "a file with one text a line")))
    elif given == STANDARD_INPUT:
        where = "standard input"
        yield from _lines(Stored(PurePosixPath(where), where, sys.stdin.buffer.read()))
    else:
        yield given


def _lines(file: Stored) -> Iterator[str]:
    for number, text, problem in read_lines(file):
        if problem:
            raise DataError(f"{file.where}: line {number} {problem}")
        if text.strip():
            yield text
