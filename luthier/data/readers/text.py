"""Documents: plain text, tables with a column of texts, archives of them, or ready tokens."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from luthier.data.faults import Faults
from luthier.data.readers.folder import stamp_of
from luthier.data.readers.text_files import TextFiles, text_files
from luthier.data.text.documents.division import DocumentSplitSpec
from luthier.data.text.documents.documents import Unit
from luthier.data.text.labelled.texts import TextsSpec
from luthier.spec import Auto, Many


class TextSpec(TextsSpec):
    """Documents to learn a language from."""

    kind: Literal["text"] = "text"

    path: str | Many[str]
    """A file, a folder, a pattern (`stories/*.txt`), or a list of them: plain text (.txt, .md),
    tables (.jsonl, .json, .csv, .tsv, .parquet), either of them packed (.gz, .bz2, .xz) or in an
    archive (.tar, .tar.gz, .tar.xz, .zip); or tokens of 16 bits (.bin), as nanoGPT keeps them.
    Files or folders called train, val or test are these splits."""
    document: Unit = "file"
    """What is one text in a file of plain text: the whole, each line, or what stands between
    blank lines. In a table each row is one."""
    column: str | Many[str] = "auto"
    """The column of a table with the text, or several that are joined by line breaks; a list of
    texts in a column is joined in the same way. auto: `text`, else the only one with texts."""
    packing: bool = True
    """Whether short texts share a row, each for itself; else each has a row of its own, and
    shorter ones are padded."""
    split: DocumentSplitSpec = Field(default_factory=DocumentSplitSpec)

    @property
    def paths(self) -> tuple[str, ...]:
        """All that `path` names."""
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def named_columns(self) -> tuple[str, ...] | Auto:
        """The columns with the text, where they are named."""
        if self.column == "auto":
            return "auto"
        return (self.column,) if isinstance(self.column, str) else self.column

    def files(self) -> TextFiles:
        """What `path` names.

        Raises:
            DataError: If something is not there, or nothing of it can be read.
        """
        return text_files(self.paths)

    def faults(self) -> Faults:
        """To gather what is wrong with single texts."""
        return Faults(self.on_error, ", ".join(self.paths))

    def stamp(self) -> str:
        """What changes when the files change."""
        return stamp_of(Path("/"), [PurePosixPath(file.path) for file in self.files().files])
