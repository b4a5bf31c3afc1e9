"""Whether conversations lie at a path."""

from __future__ import annotations

import itertools
from pathlib import Path

from luthier.data.chat.chat import ChatSpec
from luthier.data.chat.dataset_info import is_dataset_info
from luthier.data.chat.row_columns import recognised
from luthier.data.faults import Faults
from luthier.data.readers.rows import read_rows
from luthier.data.readers.text_files import opened, text_files
from luthier.data.text.documents.documents import as_lines
from luthier.errors import DataError

LOOKED_AT = 20


def conversations_at(place: Path) -> ChatSpec | None:
    """The settings that read the conversations at `place`; none if there are none.

    A description of data sets counts where it names a single one.
    """
    if is_dataset_info(str(place)):
        return None  # which of its sets is meant, only a person can say
    try:
        stored, form = next(opened(text_files([str(place)]).files[0], Faults("skip")))
        if form != "table":
            return None
        rows = read_rows(as_lines(stored), Faults("skip"), any_size=True)
        names = {name for _, values in itertools.islice(rows, LOOKED_AT) for name in values}
        recognised(stored.where, sorted(names), {})
    except DataError:
        return None  # whoever reads it tells what is wrong with it
    return ChatSpec(path=str(place))
