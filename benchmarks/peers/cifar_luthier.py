"""`recipes/cifar_resnet20.yaml` by luthier."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import protocol

import luthier

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "cifar_resnet20.yaml"


def main() -> None:
    """Trains, and prints one JSON line."""
    given = protocol.order()
    recipe = luthier.Recipe.read(
        RECIPE,
        [
            f"data.path={given.data}",
            f"training.epochs={given.epochs}",
            f"training.seed={given.seed}",
            f"placement.precision={given.precision}",
        ],
    )
    with tempfile.TemporaryDirectory() as folder:
        outcome = luthier.train(recipe, out=Path(folder) / "run").summary()
    found = outcome["metrics"]["accuracy"]["value"]
    print(json.dumps({"accuracy": found, "images_per_second": outcome["images_per_second"]}))


if __name__ == "__main__":
    main()
