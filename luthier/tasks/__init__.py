"""Tasks: what is learned, by objective and not by modality."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from luthier.tasks.classify import ClassifySpec
from luthier.tasks.classify_and_tag import ClassifyAndTagSpec
from luthier.tasks.extract import ExtractSpec
from luthier.tasks.forecast import ForecastSpec
from luthier.tasks.language import LanguageSpec
from luthier.tasks.preference import PreferenceSpec
from luthier.tasks.reward import RewardSpec
from luthier.tasks.seq2seq import Seq2SeqSpec
from luthier.tasks.tag import TagSpec
from luthier.tasks.transcribe import TranscribeSpec

TaskSpec = Annotated[
    ClassifyAndTagSpec
    | ClassifySpec
    | ExtractSpec
    | ForecastSpec
    | LanguageSpec
    | PreferenceSpec
    | RewardSpec
    | Seq2SeqSpec
    | TagSpec
    | TranscribeSpec,
    Field(discriminator="kind"),
]
"""Every task that a recipe can name."""
