"""Which weights of a trained network move: adapters, transforms of a finished network."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from luthier.adapters.bias import BiasSpec
from luthier.adapters.freeze import FreezeSpec
from luthier.adapters.lora import LoraSpec

__all__ = ["AdapterSpec", "BiasSpec", "FreezeSpec", "LoraSpec"]

AdapterSpec = Annotated[LoraSpec | FreezeSpec | BiasSpec, Field(discriminator="kind")]
