"""Every source of data that a recipe can name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from luthier.data.readers.archive import ImageArchiveSpec
from luthier.data.readers.digits import DigitsSpec
from luthier.data.readers.folder import ImageFolderSpec
from luthier.data.readers.idx import MnistSpec
from luthier.data.readers.npz import NpzSpec
from luthier.data.readers.table import ImageTableSpec

DataSpec = Annotated[
    DigitsSpec | MnistSpec | ImageFolderSpec | ImageTableSpec | NpzSpec | ImageArchiveSpec,
    Field(discriminator="kind"),
]
"""Every source of data that a recipe can name: the kinds of its data section."""
