"""Pictures that somebody gives to a finished model.

Dimension key, for the whole file:
    B  pictures      H  height      W  width      C  channels
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from luthier.data.examples import Samples
from luthier.data.image import SUFFIXES, Preprocessing
from luthier.data.pictures import AT_ONCE
from luthier.data.readers.place import names
from luthier.errors import DataError

CHANNELS = ((1,), (3,), (4,))
Picture = Path | str | bytes | Image.Image | np.ndarray
UNKNOWN = -1


class PictureInputs:
    """Makes samples of files, of folders of files, of bytes, PIL images and arrays.

    Args:
        preprocessing: As the training pictures had it.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing

    def files(self) -> Mapping[str, bytes]:
        """`preprocessing.json`."""
        text = json.dumps(self._preprocessing.model_dump(mode="json"), indent=2) + "\n"
        return {"preprocessing.json": text.encode()}

    def listed(self, given: Sequence[Picture]) -> list[Picture]:
        """Every picture, those of folders by name."""
        return [picture for item in given for picture in _expanded(item)]

    def named(self, item: Picture, index: int) -> str:
        """The file, or `inputs[3]`."""
        return str(item) if isinstance(item, str | Path) else f"inputs[{index}]"

    @property
    def at_once(self) -> int:
        """Pictures that go through a network together."""
        return AT_ONCE

    def samples(self, items: Sequence[Picture], start: int) -> Samples:
        """Pictures as the network reads them: `(B, C, H, W)`."""
        pixels = [self._pixels(picture, index) for index, picture in enumerate(items, start)]
        return Samples(
            inputs=self._preprocessing.tensor(np.stack(pixels)),
            targets=torch.full((len(items),), UNKNOWN),
            ids=torch.arange(start, start + len(items)),
        )

    def _pixels(self, picture: Picture, index: int) -> np.ndarray:
        if isinstance(picture, Path | str | bytes):
            return self._preprocessing.decode(picture)
        if isinstance(picture, np.ndarray):
            channels = picture.shape[2:] or (1,) if picture.ndim > 1 else ()
            if picture.dtype != np.uint8 or not picture.size or channels not in CHANNELS:
                raise DataError(
                    f"{self.named(picture, index)}: got an array {picture.shape} of "
                    f"{picture.dtype}; "
                    "wanted (H, W) or (H, W, C) of uint8, with 1, 3 or 4 channels"
                )
            picture = Image.fromarray(
                picture.reshape(picture.shape[:2]) if channels == (1,) else picture
            )
        if not isinstance(picture, Image.Image):
            raise DataError(
                f"{self.named(picture, index)}: got {type(picture).__name__}; wanted a file, its "
                "bytes, a PIL image or an array"
            )
        return self._preprocessing.conform(picture)


def _expanded(given: Picture) -> Sequence[Picture]:
    """A folder's pictures by name; anything else is itself."""
    if not isinstance(given, str | Path) or not Path(given).is_dir():
        return [given]
    inside = [Path(given) / name for name in names(Path(given))]
    files = [file for file in inside if file.suffix.lower() in SUFFIXES]
    if not files:
        raise DataError(f"{given}: holds no pictures ({', '.join(SUFFIXES)})")
    return files
