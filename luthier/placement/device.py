"""Which device, and which arithmetic it does natively."""

from __future__ import annotations

from typing import Literal

import torch

from luthier.errors import InputError

DeviceName = Literal["cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16"]

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def available(name: DeviceName) -> bool:
    """Whether this machine has such a device, and this torch can use it."""
    if name == "cuda":
        return torch.cuda.is_available()
    return name == "cpu" or torch.backends.mps.is_available()


def best_device() -> DeviceName:
    """CUDA, else Apple's GPU, else the CPU."""
    return next(name for name in ("cuda", "mps", "cpu") if available(name))


def device_of(name: DeviceName) -> torch.device:
    """The device called `name`.

    Raises:
        InputError: If this machine has none, or this torch cannot use it.
    """
    if not available(name):
        raise InputError(
            f'placement.device: got "{name}", but this machine has none that torch '
            f"{torch.__version__} can use; wanted auto or {best_device()} (see luthier doctor)"
        )
    return torch.device(name)


def has_bf16(name: DeviceName) -> bool:
    """Whether the device multiplies in bfloat16 natively; emulated, it is slower than float32."""
    if name == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return name == "cpu" and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    cpu = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())
