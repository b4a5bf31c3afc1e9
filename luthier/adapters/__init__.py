"""Which weights of a trained network move: adapters, transforms of a finished network."""

from __future__ import annotations

from typing import TypeAlias

from luthier.adapters.lora import LoraSpec

__all__ = ["AdapterSpec"]

AdapterSpec: TypeAlias = LoraSpec
