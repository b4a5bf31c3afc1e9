"""Settings that every source of pictures has."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, Self

from pydantic import Field, model_validator

from luthier.data.augment import Augment
from luthier.data.augment.mix import CutmixSpec, MixupSpec
from luthier.data.collection import Collection
from luthier.data.faults import Faults, OnError
from luthier.data.image import Fit, Interpolation, MeanStd
from luthier.data.readers.naming import check_names
from luthier.data.split import SplitSpec
from luthier.spec import Auto, Many, Spec

MAX_SIDE = 4096


class ImagesSpec(Spec):
    """Pictures with a label each."""

    image_size: int | Many[int] | Auto = "auto"
    """Height and width that all pictures get: one number, or [height, width], in pixels."""
    channels: Literal[1, 3] | Auto = "auto"
    """1 for grey, 3 for colours."""
    fit: Fit = "crop"
    """What happens to a picture of another shape: cut at its sides, stretched, or set on black."""
    interpolation: Interpolation = "bilinear"
    """How pixels are made from others when the size changes."""
    normalize: MeanStd | Literal["auto", "unit", "none"] = "auto"
    """unit divides pixels by 255; auto then takes away the training pictures' mean and divides by
    their standard deviation, or {mean: […], std: […]} does; none leaves them at 0 to 255."""
    classes: Many[str] | Auto = "auto"
    """The names of the classes, in the order of their numbers."""
    split: SplitSpec = Field(default_factory=SplitSpec)
    """The splits to make, where the data has none."""
    augment: Many[Augment] = ()
    """Random changes of the training pictures, in this order; mixup and cutmix come last."""
    on_error: OnError = "stop"
    """Whether a file that cannot be used stops everything, or is left out and listed."""
    limit: int | None = Field(default=None, ge=1)
    """The most rows of each given split, evenly from all classes: for quick tries."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not isinstance(self.image_size, str):
            sides = self.image_size if isinstance(self.image_size, tuple) else (self.image_size,)
            if not 1 <= len(sides) <= 2 or not all(1 <= side <= MAX_SIDE for side in sides):
                got = ", ".join(map(str, sides)) or "none"
                raise ValueError(
                    f"image_size: got {got}; wanted one number or [height, width], each from 1 "
                    f"to {MAX_SIDE}"
                )
        check_names(self.classes)
        mixing = [isinstance(item, MixupSpec | CutmixSpec) for item in self.augment]
        if mixing != sorted(mixing):
            raise ValueError(
                "augment: mixup and cutmix mix pictures that are changed already; put them last"
            )
        if isinstance(self.normalize, MeanStd) and isinstance(self.channels, int):
            means = len(self.normalize.mean)
            if means not in (1, self.channels):
                raise ValueError(f"normalize: got {means} means for {self.channels} channels")
        return self

    def faults(self) -> Faults:
        """To gather what is wrong with single files."""
        return Faults(self.on_error, self.model_dump(include={"path"}).get("path", ""))

    @abstractmethod
    def collect(self, faults: Faults) -> Collection:
        """What lies at the place that the settings name; notes files that cannot be used.

        Raises:
            DataError: If the place as a whole cannot be used.
        """

    @abstractmethod
    def stamp(self) -> str | None:
        """What changes when the files change; none where decoding is not worth keeping."""
