"""Pairs of texts as a recipe names them: two columns of a table, or two files line by line."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from luthier.data.readers.splits import SplitFiles
from luthier.data.text.labelled.found import CutOff
from luthier.data.text.labelled.texts import LONGEST, TextsSpec
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec
from luthier.spec import Auto, Many


class PairsSpec(TextsSpec):
    """A source, and what is to be written of it: translations, summaries, titles.

    Two columns of a table (`.csv`, `.tsv`, `.jsonl`, `.json`, `.parquet`), or two files whose
    lines belong together: `train.en` and `train.de`.
    """

    kind: Literal["pairs"] = "pairs"

    path: str
    """A table; or a folder or an archive with tables, or with two files for each split, whose
    names say train, val (dev) or test."""
    files: SplitFiles | None = None
    """The names below the path, where these do not say the split: of tables whole, of two files
    without their endings: `{train: train, test: test_2016_flickr}`."""
    source: str
    """The column with what is read; of two files, the ending of the one: `en`."""
    target: str | Many[str] = Field(union_mode="left_to_right")
    """The column with what is written of it, or the ending of the other file: `de`. Several
    columns where a row may hold several right ones: the first that a row has is learned, and all
    are compared with."""
    columns: Many[str] | None = None
    """The names of all columns, where a table has no line with them."""
    delimiter: str | None = None
    """What stands between values of a table; see `text_table`."""
    quoted: bool | None = None
    """Whether values may stand in quotation marks; see `text_table`."""
    target_tokenizer: TokenizerSpec | Auto | None = None
    """How what is written becomes tokens, where it has a tokenizer of its own; none means that
    both sides have one."""
    target_context: int | Auto = Field(default="auto", union_mode="left_to_right")
    """The most tokens that are written."""
    first: bool | Auto = Field(default="auto", union_mode="left_to_right")
    """Whether a source begins with the tokenizer's first token, as BART's do; auto: as the start of
    the run had it, else no."""
    cut: CutOff = "end"
    """What is cut off of a source that is longer than the context."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.targets or len({self.source, *self.targets}) < 1 + len(self.targets):
            got = ", ".join((self.source, *self.targets))
            raise ValueError(f"source and target: got {got}; wanted different ones")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\n\r'):
            raise ValueError(f'delimiter: got "{self.delimiter}"; wanted one character')
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns: got {', '.join(self.columns)}; wanted different names")
        context = self.target_context
        if context != "auto" and not 2 <= context <= LONGEST:
            raise ValueError(f"target_context: got {context:,}; wanted 2 to {LONGEST:,} tokens")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns with what is written."""
        return (self.target,) if isinstance(self.target, str) else self.target
