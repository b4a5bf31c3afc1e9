"""Which weights an adapter belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """The SHA-256 of named weights: their names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        weight = weights[name].detach()
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        if weight.numel() and not weight.is_meta:
            digest.update(weight.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
