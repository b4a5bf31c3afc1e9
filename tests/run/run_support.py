"""A small run on the embedded digits with everything random in it: seconds, not minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from luthier.checkpoint.weights import read_weights
from luthier.recipe import Recipe

SMALL: dict[str, Any] = {
    "name": "small",
    "task": {"kind": "classify", "label_smoothing": 0.1},
    "data": {
        "kind": "digits",
        "limit": 200,
        "augment": [{"kind": "crop", "padding": 1}, {"kind": "mixup"}],
    },
    "model": {
        "layers": [
            {"kind": "conv", "channels": 4, "kernel": 3, "norm": "batch", "activation": "relu"},
            {"kind": "max_pool", "size": 2},
            {"kind": "flatten"},
            {"kind": "dropout", "rate": 0.3},
            {"kind": "dense", "width": 12, "activation": "relu"},
        ]
    },
    "optimizer": {"kind": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
    "schedule": {"kind": "cosine", "warmup_steps": 3},
    "training": {
        "epochs": 2,
        "batch_size": 24,
        "seed": 5,
        "ema_decay": 0.9,
        "clip_norm": 1.0,
        "checkpoint_every_steps": 2,
        "log_every_steps": 3,
    },
    "placement": {"threads": 1},
}


def small(*overrides: str) -> Recipe:
    """The small recipe, changed."""
    return Recipe.of(SMALL, overrides)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The weights of a finished run."""
    return read_weights(run / "model" / "model.safetensors")


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two networks are the same, bit for bit."""
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )
