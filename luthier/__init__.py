"""luthier: design, train, evaluate and use neural networks from one recipe.

The public names, each loaded on first use; importing luthier does nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luthier.errors import LuthierError
    from luthier.model.blueprint import Network
    from luthier.recipe import Recipe
    from luthier.run.exporting import export
    from luthier.run.finished import Run, load
    from luthier.run.pipeline import train
    from luthier.signal import Signal

_HOMES = {
    "LuthierError": "luthier.errors",
    "Network": "luthier.model.blueprint",
    "Recipe": "luthier.recipe",
    "Run": "luthier.run.finished",
    "Signal": "luthier.signal",
    "export": "luthier.run.exporting",
    "load": "luthier.run.finished",
    "train": "luthier.run.pipeline",
}

__all__ = ["LuthierError", "Network", "Recipe", "Run", "Signal", "export", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'luthier' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
