"""Settings that every source of sounds has."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, Self

from pydantic import Field, model_validator

from luthier.data.faults import Faults, OnError
from luthier.data.readers.naming import check_names
from luthier.data.sound.augment import SoundAugment
from luthier.data.sound.decoder import RATES
from luthier.data.sound.features import FeaturesSpec, LogMelSpec
from luthier.data.sound.found import FoundSounds
from luthier.data.sound.spoken import JoinSpec
from luthier.data.split import SplitSpec
from luthier.data.text.tokens.tokenizer_training import TokenizerSpec
from luthier.spec import Auto, Many, Spec

MOST_SECONDS = 3600.0


class SoundsSpec(Spec):
    """Sounds with a label each, or with what is said in them."""

    kind: str

    sample_rate: int | Auto = Field(default="auto", union_mode="left_to_right")
    """Samples a second that all sounds get; auto: as most of them have it, 16,000 at most."""
    longest_seconds: float = Field(default=30.0, gt=0, le=MOST_SECONDS)
    """A longer sound cannot be used."""
    features: FeaturesSpec = Field(default_factory=LogMelSpec)
    """What the network reads of a sound: `{kind: log_mel, bins: 80}`, `{kind: mfcc}` or
    `{kind: waveform}`."""
    normalize: Literal["train", "sound", "none"] = "train"
    """What values are brought to a mean of 0 and a spread of 1 by: those of the training sounds,
    each value of a frame by itself; those of the sound alone; or they are left as they are."""
    fill_seconds: float | None = Field(default=None, gt=0, le=600)
    """The length to which each sound is filled up with silence, as Whisper learned them (30);
    none leaves them as long as they are."""
    augment: Many[SoundAugment] = ()
    """Random changes of the training sounds: of the samples (speed, noise), then of the features
    (spec_augment)."""
    classes: Many[str] | Auto = "auto"
    """The names of the classes, in the order of their numbers."""
    tokenizer: TokenizerSpec | Auto = "auto"
    """How what is said becomes tokens, where a task writes it; auto: characters."""
    spoken: bool = True
    """Whether what is said is written in lower case and without punctuation."""
    join: JoinSpec | None = None
    """Joins sounds of a split into longer ones, where a task writes what is said."""
    split: SplitSpec = Field(default_factory=SplitSpec)
    """The splits to make, where the data has none."""
    on_error: OnError = "stop"
    """Whether a sound that cannot be used stops everything, or is left out and listed."""
    limit: int | None = Field(default=None, ge=1)
    """The most sounds of each given split: for quick tries."""

    @model_validator(mode="after")
    def _usable_sounds(self) -> Self:
        if self.sample_rate != "auto" and not RATES[0] <= self.sample_rate <= RATES[1]:
            raise ValueError(
                f"sample_rate: got {self.sample_rate:,}; wanted {RATES[0]:,} to {RATES[1]:,}"
            )
        late = [change.of == "features" for change in self.augment]
        if late != sorted(late):
            raise ValueError(
                "augment: speed and noise change the samples, which features are made from; put "
                "spec_augment last"
            )
        if self.fill_seconds is not None and self.longest_seconds > self.fill_seconds:
            raise ValueError(
                f"longest_seconds: got {self.longest_seconds:g}, more than fill_seconds "
                f"({self.fill_seconds:g}); what is longer would be cut off"
            )
        check_names(self.classes)
        return self

    @abstractmethod
    def collect(self, faults: Faults) -> FoundSounds:
        """What lies at the place that the settings name; notes what cannot be used.

        Raises:
            DataError: If the place as a whole cannot be used.
        """
