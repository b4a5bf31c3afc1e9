"""The inputs of a finished model, read back."""

from __future__ import annotations

import json
from collections.abc import Callable

from luthier.data.image import Preprocessing
from luthier.data.pairs.pair_inputs import PairInputs
from luthier.data.picture_inputs import PictureInputs
from luthier.data.prepared import Inputs
from luthier.data.series.series_inputs import SeriesInputs
from luthier.data.sound.sound_inputs import SoundInputs
from luthier.data.text.labelled.inputs import TextInputs
from luthier.spec import parse


def read_inputs(read: Callable[[str], bytes | bytearray]) -> Inputs:
    """What `Inputs.files` gave.

    Args:
        read: Gives the content of a file by its name.
    """
    about = json.loads(bytes(read("preprocessing.json")))
    if about.get("kind") == "text":
        return TextInputs.from_files(read)
    if about.get("kind") == "sound":
        return SoundInputs.from_files(read)
    if about.get("kind") == "pairs":
        return PairInputs.from_files(read)
    if about.get("kind") == "series":
        return SeriesInputs.from_files(about)
    return PictureInputs(parse(Preprocessing, about))
