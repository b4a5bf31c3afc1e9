"""Which kinds of adapters this luthier has."""

from __future__ import annotations

import json

from luthier_tuning import ADAPTERS
from pydantic import TypeAdapter, ValidationError

from luthier.adapters import AdapterSpec


def main() -> None:
    """Prints its one JSON line."""
    print(json.dumps({"kinds": [kind for kind in ADAPTERS if known(kind)]}))


def known(kind: str) -> bool:
    """Whether a recipe can ask for it."""
    try:
        TypeAdapter[object](AdapterSpec).validate_python({"kind": kind})
    except ValidationError:
        return False
    return True


if __name__ == "__main__":
    main()
