"""Every source of data that a recipe can name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from luthier.data.chat.chat import ChatSpec
from luthier.data.pairs.pairs import PairsSpec
from luthier.data.readers.archive import ImageArchiveSpec
from luthier.data.readers.clinc import ClincSpec
from luthier.data.readers.conll import ConllSpec
from luthier.data.readers.digits import DigitsSpec
from luthier.data.readers.folder import ImageFolderSpec
from luthier.data.readers.idx import MnistSpec
from luthier.data.readers.mixture import MixtureSpec
from luthier.data.readers.npz import NpzSpec
from luthier.data.readers.questions import QuestionsSpec
from luthier.data.readers.snips import SnipsSpec
from luthier.data.readers.sound_folder import SoundFolderSpec
from luthier.data.readers.sound_names import SoundNamesSpec
from luthier.data.readers.sound_table import SoundTableSpec
from luthier.data.readers.table import ImageTableSpec
from luthier.data.readers.text import TextSpec
from luthier.data.readers.text_folder import TextFolderSpec
from luthier.data.readers.text_lines import TextLinesSpec
from luthier.data.readers.text_table import TextTableSpec
from luthier.data.series.series import SeriesSpec

DataSpec = Annotated[
    ChatSpec
    | ClincSpec
    | ConllSpec
    | DigitsSpec
    | ImageArchiveSpec
    | ImageFolderSpec
    | ImageTableSpec
    | MixtureSpec
    | MnistSpec
    | NpzSpec
    | PairsSpec
    | QuestionsSpec
    | SeriesSpec
    | SnipsSpec
    | SoundFolderSpec
    | SoundNamesSpec
    | SoundTableSpec
    | TextFolderSpec
    | TextLinesSpec
    | TextSpec
    | TextTableSpec,
    Field(discriminator="kind"),
]
"""Every source of data that a recipe can name: the kinds of its data section."""
