"""Conversations to learn from: messages, ShareGPT, Alpaca, prompt and completion."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Literal, Self

from pydantic import Field, model_validator

from luthier.data.chat.row_columns import FIELDS
from luthier.data.readers.folder import stamp_of
from luthier.data.readers.text_files import TextFiles, text_files
from luthier.data.split import SplitSpec
from luthier.data.text.labelled.texts import TextsSpec
from luthier.errors import nearest
from luthier.spec import Auto, Many

TOO_LONG = Literal["cut", "leave_out"]


class ChatSplitSpec(SplitSpec):
    """How conversations are set apart, where the files do not say it."""

    test: float = Field(default=0, ge=0, lt=1)
    """The share that measures the finished model; 0 makes no such split, as is usual where what
    counts is the loss on the validation rows."""


class ChatSpec(TextsSpec):
    """Conversations: what the assistant says in them is learned, or which answer is better."""

    kind: Literal["chat"] = "chat"

    path: str | Many[str]
    """A table (.jsonl, .json, .csv, .tsv, .parquet), a folder or a pattern of them; or
    LLaMA-Factory's dataset_info.json. The format is recognised: messages (OpenAI), conversations
    (ShareGPT), instruction and output (Alpaca), prompt and completion, chosen and rejected. Files
    called train, val or test are these splits."""
    dataset: str | None = None
    """The name of a data set of a dataset_info.json."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Which column holds what, where its name does not say it: `{prompt: question, completion:
    answer}`."""
    ignore: Many[str] = ()
    """Columns that are not to be read."""
    template: str = "auto"
    """How a conversation becomes a text: the name of a built-in template, or a file with one
    (chat_template.jinja, tokenizer_config.json, or a folder with either). auto: that of the start,
    else the one that the tokenizer has the marks of."""
    system: str | None = None
    """The system message of conversations that have none."""
    learn: Literal["replies", "last_reply"] = "replies"
    """What of a conversation is learned: all that the assistant says, or its last turn alone.
    Messages with the key loss, train or weight say it themselves."""
    too_long: TOO_LONG = "cut"
    """Whether a conversation that is longer than the context is cut at its end, or left out."""
    packing: bool = True
    """Whether short conversations share a row, each for itself; else each has a row of its own."""
    date: str = "auto"
    """The day that templates are told that ask for it, as 2026-01-31; auto: today."""
    split: ChatSplitSpec = Field(default_factory=ChatSplitSpec)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for name in self.columns:
            if name not in FIELDS:
                raise ValueError(f'columns: got "{name}"{nearest(name, FIELDS)}')
        if self.date != "auto":
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", self.date):
                raise ValueError(f"date: got {self.date}; wanted a day such as 2026-01-31")
            date.fromisoformat(self.date)
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """All that `path` names."""
        return (self.path,) if isinstance(self.path, str) else self.path

    def files(self) -> TextFiles:
        """What `path` names.

        Raises:
            DataError: If something is not there, or nothing of it can be read.
        """
        return text_files(self.paths)

    def stamp(self) -> str:
        """What changes when the files change."""
        return stamp_of(Path("/"), [PurePosixPath(file.path) for file in self.files().files])


def day_of(given: str | Auto) -> date:
    """The day that a recipe says."""
    return date.today() if given == "auto" else date.fromisoformat(given)
